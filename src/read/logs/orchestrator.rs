//! The orchestrator's own lines.

use crate::model::log::{OrchestratorEvent, OrchestratorStep, Record};

use super::scan::{after, between, index_prefix};

/// The record of an `[Orchestrator]` message.
pub(crate) fn orchestrator(message: &str) -> Option<Record> {
    let text = message.strip_prefix("[Orchestrator] ")?;
    let event = known(text).unwrap_or(OrchestratorEvent {
        step: OrchestratorStep::Other,
        request: None,
        stage: None,
    });
    Some(Record::Orchestrator(event))
}

fn known(text: &str) -> Option<OrchestratorEvent> {
    let event = |step, request: Option<&str>, stage| {
        Some(OrchestratorEvent { step, request: request.map(str::to_owned), stage })
    };
    if let Some(rest) = text.strip_prefix("Enqueued request ") {
        let (request, stage) = rest.split_once(" to stage-")?;
        return event(OrchestratorStep::Enqueued, Some(request), index_prefix(stage));
    }
    if let Some(rest) = text.strip_prefix("Forwarded request ") {
        let (request, stage) = rest.split_once(" to stage-")?;
        return event(OrchestratorStep::Forwarded, Some(request), index_prefix(stage));
    }
    if let Some(rest) = text.strip_prefix("Stage-") {
        let request = between(rest, " completed request ", ";")?;
        return event(OrchestratorStep::StageCompleted, Some(request), index_prefix(rest));
    }
    if let Some(rest) = text.strip_prefix("Request ") {
        if let Some((request, stage)) = rest.split_once(" finalized at stage-") {
            return event(OrchestratorStep::Finalized, Some(request), index_prefix(stage));
        }
        let (request, _) = rest.split_once(" fully completed")?;
        return event(OrchestratorStep::Completed, Some(request), None);
    }
    if text.starts_with("generate() called") {
        return event(OrchestratorStep::Called, None, None);
    }
    if text.starts_with("Seeding ") {
        let stage = after(text, " into stage-").and_then(index_prefix);
        return event(OrchestratorStep::Seeding, None, stage);
    }
    if text.starts_with("Entering scheduling loop") {
        return event(OrchestratorStep::LoopStarted, None, None);
    }
    if text.starts_with("All requests completed") {
        return event(OrchestratorStep::AllCompleted, None, None);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::orchestrator;
    use crate::model::log::{OrchestratorStep, Record};

    #[test]
    fn steps_name_request_and_stage() {
        let read = |text: &str| match orchestrator(&format!("[Orchestrator] {text}")) {
            Some(Record::Orchestrator(e)) => (e.step, e.request, e.stage),
            other => panic!("{other:?}"),
        };
        let r = Some("0_b".to_owned());
        assert_eq!(
            read("Enqueued request 0_b to stage-0"),
            (OrchestratorStep::Enqueued, r.clone(), Some(0))
        );
        assert_eq!(
            read("Stage-2 completed request 0_b; forwarding or finalizing"),
            (OrchestratorStep::StageCompleted, r.clone(), Some(2))
        );
        assert_eq!(
            read("Request 0_b finalized at stage-2"),
            (OrchestratorStep::Finalized, r.clone(), Some(2))
        );
        assert_eq!(
            read("Request 0_b fully completed (1/1)"),
            (OrchestratorStep::Completed, r, None)
        );
        assert_eq!(read("Something new").0, OrchestratorStep::Other);
    }
}
