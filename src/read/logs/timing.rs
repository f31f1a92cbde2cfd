//! `[OmniTiming]` lines.
//!
//! `req=R total=1.23s preprocess=…s engine=…s stages=[0:1.20s,1:…] transfers=[0->1=4.20ms] ar2diffusion=…ms`; later
//! versions name the stages (`0:ar=16.23s`) and add `handoffs=[0->1=2.1ms(ar2diffusion=1.0ms)]`.

use crate::model::log::{LogDuration, Record, Timing, TimingSpan};

use super::scan::between;

/// The record of an `[OmniTiming]` message; `None` where it has no request id.
pub(crate) fn timing(message: &str) -> Option<Record> {
    let rest = message.strip_prefix("[OmniTiming] ")?;
    let request = rest.strip_prefix("req=")?.split(' ').next()?;
    let field = |name: &str| duration(rest.split(' ').find_map(|word| word.strip_prefix(name))?);
    let list = |name: &str, part: fn(&str) -> Option<TimingSpan>| {
        let inner = between(rest, name, "]").unwrap_or("");
        inner.split(',').filter_map(part).collect()
    };
    Some(Record::Timing(Timing {
        request: request.to_owned(),
        total: field("total="),
        preprocess: field("preprocess="),
        engine: field("engine="),
        stages: list("stages=[", stage_span),
        transfers: list("transfers=[", edge_span),
        handoffs: list("handoffs=[", edge_span),
        ar2diffusion: field("ar2diffusion="),
    }))
}

/// `1.20s` or `4.20ms`.
fn duration(text: &str) -> Option<LogDuration> {
    match text.strip_suffix("ms") {
        Some(ms) => LogDuration::from_ms(ms, true),
        None => LogDuration::from_s(text.strip_suffix('s')?, true),
    }
}

/// `0:1.20s`, `0:ar=16.23s`.
fn stage_span(text: &str) -> Option<TimingSpan> {
    let (stage, rest) = text.split_once(':')?;
    let (name, dur) = match rest.rsplit_once('=') {
        Some((name, dur)) => (Some(name.to_owned()), dur),
        None => (None, rest),
    };
    Some(TimingSpan { stage: stage.parse().ok()?, to: None, name, dur: duration(dur)? })
}

/// `0->1=4.20ms`, with a remark in parentheses.
fn edge_span(text: &str) -> Option<TimingSpan> {
    let text = text.split('(').next()?;
    let (edge, dur) = text.split_once('=')?;
    let (from, to) = edge.split_once("->")?;
    Some(TimingSpan {
        stage: from.parse().ok()?,
        to: Some(to.parse().ok()?),
        name: None,
        dur: duration(dur)?,
    })
}

#[cfg(test)]
mod tests {
    use super::timing;
    use crate::model::log::Record;

    #[test]
    fn old_and_new_spellings() {
        let text = "[OmniTiming] req=a total=32.99s preprocess=2.80s engine=30.19s stages=[0:ar=16.23s,1:13.96s] handoffs=[0->1=2.5ms(ar2diffusion=1.000ms)] transfers=[0->1=0.780ms]";
        let Some(Record::Timing(t)) = timing(text) else { panic!() };
        assert_eq!((t.request.as_str(), t.total.unwrap().ns), ("a", 32_990_000_000));
        assert_eq!(t.stages[0].name.as_deref(), Some("ar"));
        assert_eq!(t.stages[1].dur.ns, 13_960_000_000);
        assert_eq!((t.transfers[0].to, t.transfers[0].dur.ns), (Some(1), 780_000));
        assert_eq!(t.handoffs[0].dur.ns, 2_500_000);
        assert_eq!(t.ar2diffusion, None);
        assert!(timing("[OmniTiming] torn").is_none());
    }
}
