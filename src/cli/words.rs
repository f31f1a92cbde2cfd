//! What the words of the output mean: `omni-trace help words`, and the glossary of the README.

use std::fmt::Write as _;

/// Columns of the text.
const WIDTH: usize = 96;

/// The words, in the order of the output.
const WORDS: [(&str, &str); 16] = [
    (
        "window",
        "the profiled interval of one file. Shares are of the window, of each file its own.",
    ),
    ("busy", "the time in which at least one kernel (or copy) ran: two at once count once."),
    ("sum", "durations added up: two kernels at once count twice. Tables by name are sums."),
    (
        "compute, communication",
        "kernels that work on data, and kernels that move it between ranks (NCCL and the like). A device that \
      only waits inside a collective is busy with communication and does no work.",
    ),
    (
        "exposed",
        "copies or communication while no compute kernel ran on that device: time that overlapping would win back.",
    ),
    (
        "idle",
        "the time of the window in which nothing ran on the device. Its cause is what the thread that launched the next work did.",
    ),
    (
        "lead thread",
        "the thread of a process that ran the most operators and launches: the one that the process is as fast as.",
    ),
    ("launching thread", "the thread whose call started the next kernel on a device."),
    (
        "ipc_wait",
        "a work thread waited for another process: reading a queue, a socket or shared memory.",
    ),
    ("gpu_sync", "a work thread waited for the device, in a synchronize call or a blocking copy."),
    ("other_wait", "a work thread waited for a lock, a timer or another rank."),
    ("net", "a wait less what was done inside it, such as unpacking a message."),
    (
        "unattributed",
        "no event tells what the thread did. Without Python frames much of it may be waiting.",
    ),
    (
        "execute",
        "in brackets behind an iteration: it is an `execute_…` span, one step of a model on one rank.",
    ),
    (
        "± clocks",
        "how far the clocks of two files may be apart; a difference below it says nothing.",
    ),
    ("-", "not recorded: the trace does not say. Another answer than 0; `null` in JSON."),
];

/// The glossary.
pub(super) fn text() -> String {
    let name_width = 22;
    let mut out = String::new();
    for (word, meaning) in WORDS {
        let mut room = 0;
        let _ = write!(out, "{word:name_width$}");
        for piece in meaning.split_whitespace() {
            let length = piece.chars().count() + 1;
            if room + length > WIDTH - name_width {
                let _ = write!(out, "\n{:name_width$}", "");
                room = 0;
            }
            let _ = write!(out, " {piece}");
            room += length;
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_fit_and_every_word_has_a_meaning() {
        let text = super::text();
        assert!(text.lines().all(|line| line.chars().count() <= super::WIDTH), "{text}");
        assert!(super::WORDS.iter().all(|(word, _)| word.chars().count() <= 22));
    }
}
