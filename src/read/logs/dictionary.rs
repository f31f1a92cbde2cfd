//! Dictionaries of every generation to records.
//!
//! The names of the fields decide what a dictionary is: `type` where it has one, else the keys that only one kind has.

use crate::model::log::{
    DiffusionEvent, DiffusionStep, Format, LogDuration, Meaning, Record, RequestTotals, StageBatch,
    StageRequest, StageRunning, StageTotals, Summary, Transfer, TransferTotals,
};

use super::fields::Fields;
use super::value::Value;

/// The class for the census, and the records of a dictionary. `None` where it is of no known kind.
pub(crate) fn records_of(
    lead: &str,
    value: &Value,
    format: Format,
) -> Option<(&'static str, Vec<Record>)> {
    let fields = Fields(value.fields());
    if let Some(metrics) = lead.strip_prefix("[StageMetrics] ") {
        return Some(("stage_metrics", vec![stage_metrics(metrics, fields)?]));
    }
    if lead == "OMNI_DIFFUSION_METRICS" {
        let event = diffusion(fields, DiffusionStep::Metrics, Format::Console);
        return Some(("diffusion_metrics", vec![Record::Diffusion(event)]));
    }
    if let Some(kind) = fields.text("type") {
        return typed(&kind, fields, format);
    }
    if let Some(step) = fields.text("event").and_then(|event| diffusion_step(&event)) {
        let event = diffusion(fields, step, Format::JsonLine);
        return Some(("diffusion_event", vec![Record::Diffusion(event)]));
    }
    if fields.get("overall_summary").is_some() {
        return Some(("summary", aggregated(fields)));
    }
    let is_summary = fields.get("stages").is_some() && fields.get("e2e_requests").is_some();
    is_summary.then(|| ("summary", vec![summary(fields, format)]))
}

fn typed(kind: &str, fields: Fields<'_>, format: Format) -> Option<(&'static str, Vec<Record>)> {
    let one = |class, record: Option<Record>| Some((class, vec![record?]));
    match kind {
        "stage_request_stats" | "Request_stage_stats" => {
            let request = fields.text("request_id")?;
            one("stage_request_stats", stage_request(fields, &request, format).map(boxed))
        }
        "stage_running_avg" | "Stage_running_avg" => one("stage_running_avg", running(fields)),
        "stage_batch_stats" => one("stage_batch_stats", batch(fields)),
        "transfer_stats" => one("transfer_stats", transfer(fields, format)),
        "transfer_rx_stats" => one("transfer_rx_stats", transfer(fields, format)),
        "transfer_total_stats" => one("transfer_total_stats", transfer(fields, format)),
        "orchestrator_request_e2e" => one("request_e2e", request_totals(fields, format)),
        "overall_request" | "request_level_metrics" => {
            Some(("request_totals", request_and_stages(fields, format)?))
        }
        "orchestrator_summary" | "overall_summary" => one("summary", Some(summary(fields, format))),
        _ => None,
    }
}

fn boxed(request: StageRequest) -> Record {
    Record::StageRequest(Box::new(request))
}

const STAGE_FIELDS: &[&str] = &[
    "type",
    "stage_id",
    "request_id",
    "batch_id",
    "batch_size",
    "num_tokens_in",
    "num_tokens_out",
    "stage_gen_time_ms",
    "rx_transfer_bytes",
    "rx_transfer_kbytes",
    "rx_decode_time_ms",
    "rx_in_flight_time_ms",
    "tokens_per_s",
    "rx_mbps",
];

/// One request in one stage, from a dictionary or a table column.
pub(crate) fn stage_request(
    fields: Fields<'_>,
    request: &str,
    format: Format,
) -> Option<StageRequest> {
    Some(StageRequest {
        format,
        stage: fields.index("stage_id")?,
        instance: 1,
        request: request.to_owned(),
        batch_id: fields.integer(&["batch_id"]),
        batch_size: fields.integer(&["batch_size"]),
        tokens_in: fields.integer(&["num_tokens_in"]),
        tokens_out: fields.integer(&["num_tokens_out"]),
        generation: fields.ms(&["stage_gen_time_ms"]),
        rx_bytes: rx_bytes(fields),
        rx_decode: fields.ms(&["rx_decode_time_ms"]),
        rx_in_flight: fields.ms(&["rx_in_flight_time_ms"]),
        tokens_per_s: fields.number(&["tokens_per_s"]),
        rx_mbps: fields.number(&["rx_mbps"]),
        other: fields.others(STAGE_FIELDS),
    })
}

/// Received bytes; tables give KiB.
fn rx_bytes(fields: Fields<'_>) -> Option<i64> {
    let kib = || Some((fields.number(&["rx_transfer_kbytes"])?.value * 1024.0).round() as i64);
    fields.integer(&["rx_transfer_bytes"]).or_else(kib)
}

/// `stage=0 req=R metrics=`, and the dictionary behind it.
fn stage_metrics(lead: &str, fields: Fields<'_>) -> Option<Record> {
    let rest = lead.strip_prefix("stage=")?;
    let (stage, rest) = rest.split_once(" req=")?;
    let request = rest.strip_suffix(" metrics=").or_else(|| rest.strip_suffix("metrics="))?;
    let mut with_stage = fields.0.to_vec();
    let number = Value::Number { text: stage.to_owned(), rounded: false };
    with_stage.push(("stage_id".to_owned(), number));
    stage_request(Fields(&with_stage), request.trim(), Format::Dictionary).map(boxed)
}

fn running(fields: Fields<'_>) -> Option<Record> {
    Some(Record::StageRunning(StageRunning {
        stage: fields.index("stage_id")?,
        tokens: fields.integer(&["total_tokens"]),
        generation: fields.ms(&["total_gen_time_ms"]),
        tokens_per_s: fields.number(&["avg_tokens_per_s"]),
    }))
}

fn batch(fields: Fields<'_>) -> Option<Record> {
    let ids = fields.get("request_ids").map_or(&[][..], Value::items);
    Some(Record::StageBatch(StageBatch {
        stage: fields.index("stage_id")?,
        size: fields.integer(&["batch_size"]),
        generation: fields.ms(&["batch_gen_time_ms"]),
        requests: ids.iter().filter_map(|id| id.as_text().map(str::to_owned)).collect(),
    }))
}

fn transfer(fields: Fields<'_>, format: Format) -> Option<Record> {
    Some(Record::Transfer(Transfer {
        format,
        from: fields.index("from_stage")?,
        to: fields.index("to_stage")?,
        request: fields.text("request_id")?,
        bytes: fields.number(&["size_bytes"]),
        rx_bytes: fields.number(&["rx_bytes"]),
        tx: fields.ms(&["tx_time_ms"]),
        in_flight: fields.ms(&["in_flight_time_ms"]),
        rx: fields.ms(&["rx_decode_time_ms"]),
        total: fields.ms(&["total_time_ms"]),
        tx_mbps: fields.number(&["tx_mbps"]),
        ms_per_kib: fields.number(&["rx_time_per_kb_ms", "total_time_per_kb_ms"]),
        used_shm: fields.flag("used_shm"),
    }))
}

/// One edge of one request, from a column of `[TransferEdgeStats]` or the `transfers` of an aggregated summary.
pub(crate) fn edge_transfer(fields: Fields<'_>, edge: &str, request: &str) -> Option<Record> {
    let (from, to) = edge.split_once("->")?;
    let kib = |names: &[&str]| fields.number(names).map(|kib| kib.scaled(1024.0));
    Some(Record::Transfer(Transfer {
        format: Format::Table,
        from: from.trim().parse().ok()?,
        to: to.trim().parse().ok()?,
        request: request.to_owned(),
        bytes: kib(&["size_kbytes"]),
        rx_bytes: None,
        tx: fields.ms(&["tx_time_ms"]),
        in_flight: fields.ms(&["in_flight_time_ms"]),
        rx: fields.ms(&["rx_decode_time_ms"]),
        total: fields.ms(&["total_time_ms"]),
        tx_mbps: None,
        ms_per_kib: None,
        used_shm: fields.flag("used_shm"),
    }))
}

fn request_totals(fields: Fields<'_>, format: Format) -> Option<Record> {
    let request = fields.text("request_id")?;
    Some(Record::Request(request_record(fields, &request, format)))
}

/// One request from end to end, from a dictionary or a table.
pub(crate) fn request_record(fields: Fields<'_>, request: &str, format: Format) -> RequestTotals {
    let kib = || fields.number(&["transfers_total_kbytes"]).map(|kib| kib.scaled(1024.0));
    RequestTotals {
        format,
        request: request.to_owned(),
        e2e: fields.ms(&["e2e_time_ms", "e2e_total_ms", "request_wall_time_ms"]),
        tokens: fields.integer(&["e2e_total_tokens", "num_tokens_out", "total_tokens"]),
        ms_per_token: fields.number(&["e2e_time_per_token_ms", "e2e_tpt"]),
        transfers: fields.ms(&["transfers_total_time_ms"]),
        transfer_bytes: fields.number(&["transfers_total_bytes"]).or_else(kib),
        preprocess: fields.ms(&["input_preprocess_time_ms"]),
        engine: fields.ms(&["engine_pipeline_time_ms"]),
        final_stage: fields.index("final_stage_id"),
    }
}

/// A request's totals, and what it repeats of each stage.
fn request_and_stages(fields: Fields<'_>, format: Format) -> Option<Vec<Record>> {
    let request = fields.text("request_id")?;
    let mut out = vec![Record::Request(request_record(fields, &request, format))];
    for (stage, value) in fields.get("stages").map_or(&[][..], Value::fields) {
        let mut with_stage = value.fields().to_vec();
        let number = Value::Number { text: stage.clone(), rounded: false };
        with_stage.push(("stage_id".to_owned(), number));
        out.extend(stage_request(Fields(&with_stage), &request, format).map(boxed));
    }
    Some(out)
}

/// The summary of generations 0 and 1: averages are over the sum of the requests' times.
fn summary(fields: Fields<'_>, format: Format) -> Record {
    let list = |name| fields.get(name).map_or(&[][..], Value::items).iter();
    Record::Summary(Box::new(Summary {
        format,
        meaning: Meaning::SumOfRequests,
        requests: fields.integer(&["e2e_requests"]),
        wall: fields.ms(&["wall_time_ms", "e2e_total_time_ms"]),
        sum: fields.ms(&["e2e_sum_time_ms"]),
        tokens: fields.integer(&["e2e_total_tokens"]),
        avg_request_ms: fields.number(&["e2e_avg_time_per_request_ms"]),
        avg_tokens_per_s: fields.number(&["e2e_avg_tokens_per_s"]),
        preprocess: None,
        stages: list("stages").filter_map(|stage| stage_totals(Fields(stage.fields()))).collect(),
        transfers: list("transfers")
            .filter_map(|edge| edge_totals(Fields(edge.fields())))
            .collect(),
    }))
}

fn stage_totals(fields: Fields<'_>) -> Option<StageTotals> {
    Some(StageTotals {
        stage: fields.index("stage_id")?,
        requests: fields.integer(&["requests"]),
        tokens: fields.integer(&["tokens"]),
        wall: fields.ms(&["total_time_ms"]),
        avg_request_ms: fields.number(&["avg_time_per_request_ms"]),
        avg_tokens_per_s: fields.number(&["avg_tokens_per_s"]),
    })
}

fn edge_totals(fields: Fields<'_>) -> Option<TransferTotals> {
    Some(TransferTotals {
        from: fields.index("from_stage")?,
        to: fields.index("to_stage")?,
        samples: fields.integer(&["samples"]),
        bytes: fields.integer(&["total_bytes"]),
        tx: fields.ms(&["total_time_ms"]),
        tx_mbps: fields.number(&["tx_mbps"]),
        rx_samples: fields.integer(&["rx_samples"]),
        rx_bytes: fields.integer(&["rx_total_bytes"]),
        rx: fields.ms(&["rx_total_time_ms"]),
        rx_mbps: fields.number(&["rx_mbps"]),
        total_samples: fields.integer(&["total_samples"]),
        total: fields.ms(&["total_transfer_time_ms"]),
        total_mbps: fields.number(&["total_mbps"]),
    })
}

/// The overall table, or the dictionary of the same names: averages are over wall time.
pub(crate) fn overall(fields: Fields<'_>) -> Record {
    let mut stages: Vec<StageTotals> =
        fields.0.iter().filter_map(|(name, _)| stage_wall(fields, name)).collect();
    stages.sort_by_key(|stage| stage.stage);
    Record::Summary(Box::new(Summary {
        format: Format::Table,
        meaning: Meaning::WallTime,
        requests: fields.integer(&["e2e_requests", "num_of_requests"]),
        wall: fields.ms(&["e2e_wall_time_ms", "request_wall_time_ms"]),
        sum: None,
        tokens: fields.integer(&["e2e_total_tokens", "total_tokens"]),
        avg_request_ms: fields.number(&["e2e_avg_time_per_request_ms", "avg_request_wall_time_ms"]),
        avg_tokens_per_s: fields.number(&["e2e_avg_tokens_per_s", "avg_tokens_per_s"]),
        preprocess: fields.ms(&["input_preprocess_time_ms"]),
        stages,
        transfers: Vec::new(),
    }))
}

/// `e2e_stage_0_wall_time_ms`, later `stage_0_wall_time_ms`.
fn stage_wall(fields: Fields<'_>, name: &str) -> Option<StageTotals> {
    let rest = name.strip_prefix("e2e_").unwrap_or(name);
    let stage = rest.strip_prefix("stage_")?.strip_suffix("_wall_time_ms")?.parse().ok()?;
    Some(StageTotals {
        stage,
        requests: None,
        tokens: None,
        wall: fields.ms(&[name]),
        avg_request_ms: None,
        avg_tokens_per_s: None,
    })
}

/// What `build_and_log_summary` returns in generation 2.
fn aggregated(fields: Fields<'_>) -> Vec<Record> {
    let part = |name| fields.get(name).map_or(&[][..], Value::items).iter();
    let mut out = Vec::new();
    if let Some(value) = fields.get("overall_summary") {
        out.push(overall(Fields(value.fields())));
    }
    for row in part("e2e_table") {
        let row = Fields(row.fields());
        if let Some(request) = row.text("request_id") {
            out.push(Record::Request(request_record(row, &request, Format::Table)));
        }
    }
    for row in part("stage_table") {
        out.extend(rows_of(Fields(row.fields()), "stages", |stage, request| {
            stage_request(stage, request, Format::Table).map(boxed)
        }));
    }
    for row in part("trans_table") {
        out.extend(rows_of(Fields(row.fields()), "transfers", |edge, request| {
            edge_transfer(edge, &edge.text("edge")?, request)
        }));
    }
    out
}

fn rows_of(
    row: Fields<'_>,
    list: &str,
    record: impl Fn(Fields<'_>, &str) -> Option<Record>,
) -> Vec<Record> {
    let Some(request) = row.text("request_id") else {
        return Vec::new();
    };
    let items = row.get(list).map_or(&[][..], Value::items);
    items.iter().filter_map(|item| record(Fields(item.fields()), &request)).collect()
}

fn diffusion_step(event: &str) -> Option<DiffusionStep> {
    Some(match event {
        "engine_load" | "init" => DiffusionStep::Loaded,
        "request_scheduled" | "generate_begin" => DiffusionStep::Scheduled,
        "request_finished" | "generate_end" => DiffusionStep::Finished,
        _ => return None,
    })
}

fn diffusion(fields: Fields<'_>, step: DiffusionStep, format: Format) -> DiffusionEvent {
    let size = || Some((fields.integer(&["height"])?, fields.integer(&["width"])?));
    let unix = fields.text("ts").and_then(|ts| LogDuration::from_s(&ts, false));
    DiffusionEvent {
        step,
        format,
        pid: fields.index("pid"),
        unix_ns: unix.map(|ts| ts.ns),
        dur: fields.ms(&["total_ms", "init_ms"]),
        engine: fields.ms(&["diffusion_total_ms"]),
        denoise_avg_ms: fields.number(&["denoise_avg_ms"]),
        steps: fields.integer(&["num_inference_steps"]),
        requests: fields.integer(&["n_requests"]),
        prompt_chars: fields.integer(&["prompt_chars", "input_tokens"]),
        chars_per_s: fields.number(&["input_tokens_per_s"]),
        name: fields.text("model_class").or_else(|| fields.text("model")),
        height_width: size(),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::log::{Format, Record};

    use super::super::value::parse_value;
    use super::records_of;

    fn records(lead: &str, text: &str) -> Vec<Record> {
        records_of(lead, &parse_value(text).unwrap(), Format::JsonLine).unwrap().1
    }

    #[test]
    fn stage_metrics_take_stage_and_request_from_the_line() {
        let lead = "[StageMetrics] stage=1 req=a b metrics=";
        let made = records(lead, "{'num_tokens_out': 170, 'stage_gen_time_ms': 1.5, 'x_s': 2}");
        let [Record::StageRequest(request)] = &made[..] else { panic!("{made:?}") };
        assert_eq!((request.stage, request.request.as_str()), (1, "a b"));
        assert_eq!(request.generation.unwrap().ns, 1_500_000);
        assert_eq!(request.tokens_in, None);
        assert_eq!(request.other[0].name, "x_s");
    }

    #[test]
    fn a_request_record_repeats_its_stages() {
        let text = r#"{"type": "overall_request", "request_id": 0, "e2e_time_ms": 7.0,
            "num_tokens_out": 3, "stages": {"0": {"stage_gen_time_ms": 5.0}}}"#;
        let made = records("", text);
        assert!(matches!(&made[0], Record::Request(r) if r.request == "0" && r.tokens == Some(3)));
        assert!(matches!(&made[1], Record::StageRequest(r) if r.stage == 0));
    }

    #[test]
    fn unknown_dictionaries_are_no_records() {
        for text in ["{}", "{'type': 'new_kind'}", "{'event': 'x'}", "{'stages': []}"] {
            assert_eq!(records_of("", &parse_value(text).unwrap(), Format::JsonLine), None);
        }
    }
}
