//! Ready questions: SQL under a name, for what people ask of every trace. Each is plain SQL over the tables that everyone
//! sees, to be read with `--list --ask NAME` and changed.

use omni_trace::schema::near;

use crate::trouble::Trouble;

/// A ready question.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Its name.
    pub name: &'static str,
    /// What `NAME=VALUE` means, and what it is without.
    pub value: Option<Value>,
    /// What it answers.
    pub doc: &'static str,
    /// The SQL; `{is}` stands for the condition that the value makes.
    sql: &'static str,
}

/// A value that a question takes: the name of something, or a pattern with `%` for any characters.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// What it is, for people.
    pub word: &'static str,
    /// The column that it is held against.
    column: &'static str,
    /// The condition where none is given.
    otherwise: &'static str,
}

/// The value of a question about operators.
const OPERATOR: Value = Value { word: "OPERATOR", column: "name", otherwise: "TRUE" };
/// The value of a question about modules.
const MODULE: Value = Value { word: "MODULE", column: "module", otherwise: "module IS NOT NULL" };

/// All of them.
pub const QUESTIONS: [Question; 19] = [
    Question {
        name: "slowest-calls",
        value: Some(OPERATOR),
        doc: "the slowest calls of an operator (or of any), with what they worked on and the Python frames around them",
        sql: "\
SELECT input, ms(offset_ns) AS at_ms, ms(dur_ns) AS ms, ms(self_ns) AS self_ms, name, input_dims, python_stack
FROM op_events
WHERE kind = 'cpu_op' AND {is}
ORDER BY dur_ns DESC, input, event
LIMIT 20",
    },
    Question {
        name: "launch-delay",
        value: None,
        doc: "how long after the begin of their launching call kernels begin, by kernel: median, 99th percentile, longest",
        sql: "\
SELECT count(*) AS launches, ms(sum(launch_delay_ns)) AS sum_ms, us(p50(launch_delay_ns)) AS p50_us,
       us(p99(launch_delay_ns)) AS p99_us, us(max(launch_delay_ns)) AS max_us, name
FROM kernel_events
WHERE launch_delay_ns IS NOT NULL
GROUP BY name
ORDER BY sum_ms DESC, name
LIMIT 40",
    },
    Question {
        name: "kernels-of-module",
        value: Some(MODULE),
        doc: "kernels by the innermost nn.Module around their launch (of any, or of one: 'nn.Module: LlamaMLP%'); needs recorded Python frames",
        sql: "\
WITH whole AS (SELECT sum(dur_ns) AS all_ns FROM kernel_events)
SELECT count(*) AS kernels, ms(sum(dur_ns)) AS ms, pct(sum(dur_ns), max(all_ns)) AS of_all_pct, module, name
FROM kernel_events CROSS JOIN whole
WHERE {is}
GROUP BY module, name
ORDER BY ms DESC, module, name
LIMIT 40",
    },
    Question {
        name: "modules",
        value: None,
        doc: "device time by the innermost nn.Module around the launch; kernels without one last",
        sql: "\
WITH whole AS (SELECT sum(dur_ns) AS all_ns FROM kernel_events)
SELECT count(*) AS kernels, ms(sum(dur_ns)) AS ms, pct(sum(dur_ns), max(all_ns)) AS of_all_pct, coalesce(module, '(none)') AS module
FROM kernel_events CROSS JOIN whole
GROUP BY module
ORDER BY module = '(none)', ms DESC, module
LIMIT 60",
    },
    Question {
        name: "kernels-by-operator",
        value: None,
        doc: "kernels by the innermost operator around their launch",
        sql: "\
WITH whole AS (SELECT sum(dur_ns) AS all_ns FROM kernel_events)
SELECT count(*) AS kernels, ms(sum(dur_ns)) AS ms, us(p50(dur_ns)) AS p50_us, pct(sum(dur_ns), max(all_ns)) AS of_all_pct, operator, name
FROM kernel_events CROSS JOIN whole
GROUP BY operator, name
ORDER BY ms DESC, operator, name
LIMIT 40",
    },
    Question {
        name: "kernels-by-stream",
        value: None,
        doc: "kernels by input, device and stream",
        sql: "\
SELECT input, rank, device, stream, count(*) AS kernels, count(DISTINCT name) AS names, ms(sum(dur_ns)) AS ms, us(max(dur_ns)) AS longest_us
FROM kernel_events
GROUP BY input, rank, device, stream
ORDER BY input, device, stream",
    },
    Question {
        name: "kernels-by-launch",
        value: None,
        doc: "kernels by launch configuration: grid, block, shared memory, registers, occupancy",
        sql: "\
SELECT count(*) AS kernels, ms(sum(dur_ns)) AS ms, us(p50(dur_ns)) AS p50_us, grid_x, grid_y, grid_z, block_x, block_y, block_z,
       shared_bytes, registers, max(occupancy_pct) AS occupancy_pct, name
FROM kernel_events
GROUP BY name, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, registers
ORDER BY ms DESC, name, grid_x, grid_y, grid_z
LIMIT 40",
    },
    Question {
        name: "shortest-kernels",
        value: None,
        doc: "kernels that take less than 5 us, which a launch costs: how many they are, and their share of all",
        sql: "\
WITH whole AS (SELECT count(*) AS all_kernels, sum(dur_ns) AS all_ns FROM kernel_events)
SELECT count(*) AS kernels, us(min(dur_ns)) AS shortest_us, us(p50(dur_ns)) AS p50_us,
       pct(count(*), max(all_kernels)) AS of_kernels_pct, pct(sum(dur_ns), max(all_ns)) AS of_time_pct, name
FROM kernel_events CROSS JOIN whole
WHERE dur_ns < 5000
GROUP BY name
ORDER BY kernels DESC, name
LIMIT 40",
    },
    Question {
        name: "longest-gaps",
        value: None,
        doc: "the longest gaps of each device, over all its streams, with what began last before them and what ends them",
        sql: "\
WITH work AS (
  SELECT input, device, name, operator, start_ns, offset_ns, start_ns + dur_ns AS end_ns FROM kernel_events
  UNION ALL SELECT input, device, name, operator, start_ns, offset_ns, start_ns + dur_ns AS end_ns FROM copy_events),
busy AS (SELECT *, max(end_ns) OVER (PARTITION BY input, device ORDER BY start_ns) AS busy_until_ns FROM work),
gaps AS (
  SELECT *, lag(busy_until_ns) OVER (PARTITION BY input, device ORDER BY start_ns) AS idle_from_ns,
         lag(name) OVER (PARTITION BY input, device ORDER BY start_ns) AS name_before,
         lag(operator) OVER (PARTITION BY input, device ORDER BY start_ns) AS operator_before FROM busy)
SELECT us(start_ns - idle_from_ns) AS gap_us, input, device, ms(offset_ns - start_ns + idle_from_ns) AS from_ms,
       operator_before, operator AS operator_after, name AS name_after, name_before
FROM gaps
WHERE start_ns > idle_from_ns
ORDER BY start_ns - idle_from_ns DESC, input, device, start_ns
LIMIT 20",
    },
    Question {
        name: "decode-iterations",
        value: None,
        doc: "decode iterations, the slowest first, with what each has more than the median one of its input",
        sql: "\
WITH decode AS (SELECT * FROM iterations WHERE phase = 'decode'),
usual AS (
  SELECT input, scheme, p50(cpu_ns) AS cpu, p50(n_kernels) AS kernels, p50(kernel_busy_ns) AS busy, p50(ipc_wait_inside_ns) AS waiting,
         p50(gap_to_next_ns) AS gap, p50(generation_requests) AS requests
  FROM decode GROUP BY input, scheme)
SELECT input, scheme, name, ms(offset_ns) AS at_ms, ms(cpu_ns) AS ms, ms(cpu_ns - cpu) AS more_ms, CAST(n_kernels - kernels AS BIGINT) AS more_kernels,
       ms(kernel_busy_ns - busy) AS more_busy_ms, ms(ipc_wait_inside_ns - waiting) AS more_waiting_ms,
       ms(gap_to_next_ns - gap) AS more_gap_after_ms, CAST(generation_requests - requests AS BIGINT) AS more_requests
FROM decode JOIN usual USING (input, scheme)
ORDER BY cpu_ns DESC, input, offset_ns
LIMIT 20",
    },
    Question {
        name: "copies-by-call-site",
        value: None,
        doc: "copies by the operator and Python frame that launched them: bytes, time, GB/s",
        sql: "\
SELECT route, sum(count) AS copies, mib(sum(bytes)) AS mib, ms(sum(sum_ns)) AS ms, sum(bytes) * 1.0 / nullif(sum(sum_ns), 0) AS gb_per_s, op, frame
FROM call_sites
GROUP BY route, op, frame
ORDER BY ms DESC, route, op, frame
LIMIT 40",
    },
    Question {
        name: "memory-over-time",
        value: None,
        doc: "bytes allocated in twenty parts of the time in which memory was recorded; needs profile_memory",
        sql: "\
WITH span AS (SELECT min(offset_ns) AS first_ns, max(offset_ns) AS last_ns FROM memory_events)
SELECT input, device_type, device, CAST(floor((offset_ns - first_ns) * 20.0 / (last_ns - first_ns + 1)) AS BIGINT) AS part,
       ms(min(offset_ns)) AS from_ms, count(*) AS events, mib(sum(CASE WHEN bytes > 0 THEN bytes ELSE 0 END)) AS taken_mib,
       mib(-sum(CASE WHEN bytes < 0 THEN bytes ELSE 0 END)) AS given_back_mib, mib(max(total_allocated_bytes)) AS most_allocated_mib
FROM memory_events CROSS JOIN span
GROUP BY input, device_type, device, part
ORDER BY input, device_type, device, part",
    },
    Question {
        name: "memory-peak",
        value: None,
        doc: "the most that was allocated and reserved, by device, and when",
        sql: "\
SELECT input, place, device, mib(allocated_peak_bytes) AS allocated_mib, mib(reserved_peak_bytes) AS reserved_mib, ms(peak_at_ns) AS at_ms, out_of_memory
FROM memory
ORDER BY input, place, device",
    },
    Question {
        name: "collectives",
        value: None,
        doc: "collectives by group and size, with the time beyond the fastest rank's: waiting for others",
        sql: "\
SELECT \"group\", group_size, operation, dtype, bytes, count, ms(sum_ns) AS ms, ms(skew_ns) AS waiting_ms, pct(skew_ns, sum_ns) AS waiting_pct,
       ms(exposed_ns) AS exposed_ms, bus_gb_per_s
FROM collectives
ORDER BY sum_ns DESC, \"group\", operation, bytes
LIMIT 40",
    },
    Question {
        name: "host-while-idle",
        value: None,
        doc: "what the host ran, innermost, during the twenty longest gaps of the devices: overlaps by name",
        sql: "\
WITH work AS (
  SELECT input, device, start_ns, start_ns + dur_ns AS end_ns FROM kernel_events
  UNION ALL SELECT input, device, start_ns, start_ns + dur_ns AS end_ns FROM copy_events),
busy AS (SELECT *, max(end_ns) OVER (PARTITION BY input, device ORDER BY start_ns) AS busy_until_ns FROM work),
ended AS (SELECT *, lag(busy_until_ns) OVER (PARTITION BY input, device ORDER BY start_ns) AS from_ns FROM busy),
gaps AS (
  SELECT input AS gap_input, from_ns, start_ns AS to_ns FROM ended
  WHERE start_ns > from_ns ORDER BY start_ns - from_ns DESC LIMIT 20),
around AS (SELECT DISTINCT input, parent AS event FROM events WHERE parent IS NOT NULL),
innermost AS (
  SELECT e.input AS host_input, e.name AS name, e.kind AS kind, e.start_ns AS begin_ns, e.start_ns + e.dur_ns AS end_ns
  FROM events AS e ANTI JOIN around AS a ON e.input = a.input AND e.event = a.event
  WHERE e.self_ns IS NOT NULL)
SELECT ms(sum(least(end_ns, to_ns) - greatest(begin_ns, from_ns))) AS overlap_ms, count(*) AS times, kind, name
FROM innermost JOIN gaps ON begin_ns < to_ns AND end_ns > from_ns
WHERE host_input = gap_input
GROUP BY name, kind
ORDER BY overlap_ms DESC, name
LIMIT 40",
    },
    Question {
        name: "idle-causes",
        value: None,
        doc: "why each device was idle: what the launching thread was doing",
        sql: "\
SELECT input, rank, device, cause, ms(ns) AS ms, pct FROM idle ORDER BY input, device, ns DESC",
    },
    Question {
        name: "python-self",
        value: None,
        doc: "Python frames by their own time, without what they called",
        sql: "\
SELECT count(*) AS calls, ms(sum(self_ns)) AS self_ms, ms(sum(dur_ns)) AS ms, name
FROM python_events
GROUP BY name
ORDER BY self_ms DESC, name
LIMIT 40",
    },
    Question {
        name: "operators-by-shape",
        value: Some(OPERATOR),
        doc: "operators by recorded input shapes; needs record_shapes",
        sql: "\
SELECT count(*) AS calls, ms(sum(dur_ns)) AS ms, us(p50(dur_ns)) AS p50_us, us(max(dur_ns)) AS longest_us, name, input_types, input_dims
FROM op_events
WHERE kind = 'cpu_op' AND {is}
GROUP BY name, input_dims, input_types
ORDER BY ms DESC, name, input_dims
LIMIT 40",
    },
    Question {
        name: "waits",
        value: None,
        doc: "what threads waited in, over all inputs",
        sql: "\
SELECT class, sum(count) AS waits, ms(sum(sum_ns)) AS ms, ms(max(max_ns)) AS longest_ms, name
FROM waits
GROUP BY class, name
ORDER BY ms DESC, name
LIMIT 40",
    },
];

/// The SQL of a question, by `NAME` or `NAME=VALUE`.
///
/// # Errors
///
/// No such question, with the nearest; and a value for one that takes none.
pub fn sql(ask: &str) -> Result<String, Trouble> {
    let (name, value) =
        ask.split_once('=').map_or((ask, None), |(name, value)| (name, Some(value)));
    let question = QUESTIONS.iter().find(|question| question.name == name).ok_or_else(|| {
        let names = QUESTIONS.iter().map(|question| question.name);
        let hint = near::hint(name, names).unwrap_or_else(|| "--list shows them".to_owned());
        Trouble::new(format!("there is no ready question `{name}`"), hint)
    })?;
    match (question.value, value) {
        (None, Some(_)) => {
            Err(Trouble::new(format!("`{name}` takes no value"), format!("--ask {name}")))
        }
        (None, None) => Ok(question.sql.to_owned()),
        (Some(takes), value) => Ok(question.sql.replace("{is}", &takes.condition(value))),
    }
}

impl Value {
    /// The condition that a value makes. It is a string of SQL, whatever characters it holds.
    fn condition(self, value: Option<&str>) -> String {
        let Some(value) = value else { return self.otherwise.to_owned() };
        let operator = if value.contains('%') { "LIKE" } else { "=" };
        format!("{} {operator} '{}'", self.column, value.replace('\'', "''"))
    }
}

/// The questions for people: name, value, what each answers.
pub fn listing() -> String {
    let name = |question: &Question| match question.value {
        Some(value) => format!("{}[={}]", question.name, value.word),
        None => question.name.to_owned(),
    };
    let width = QUESTIONS.iter().map(|question| name(question).len()).max().unwrap_or(0);
    let line = |question: &Question| format!("{:<width$}  {}\n", name(question), question.doc);
    QUESTIONS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{QUESTIONS, listing, sql};
    use crate::statement::parse;

    #[test]
    fn every_one_is_sql_and_takes_what_it_says() {
        for question in &QUESTIONS {
            assert!(parse(&sql(question.name).unwrap()).is_ok(), "{}", question.name);
            let with = sql(&format!("{}=a'; DROP TABLE events; --", question.name));
            match (question.value, with) {
                (None, with) => assert!(with.unwrap_err().what.contains("takes no value")),
                (Some(_), with) => {
                    assert_eq!(parse(&with.unwrap()).unwrap().len(), 1, "{}", question.name);
                }
            }
            assert!(listing().contains(question.doc));
        }
    }

    #[test]
    fn values_are_names_or_patterns() {
        assert!(sql("slowest-calls=aten::_to_copy").unwrap().contains("name = 'aten::_to_copy'"));
        assert!(
            sql("kernels-of-module=nn.Module: Llama%")
                .unwrap()
                .contains("module LIKE 'nn.Module: Llama%'")
        );
        assert_eq!(sql("modulse").unwrap_err().hint.as_deref(), Some("did you mean modules?"));
    }
}
