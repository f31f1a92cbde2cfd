//! Unit tests of the gate: which iterations are recorded, for every kind of limit.

use super::*;

/// Runs `n` iterations of 1 ms through a gate, as a stage does, and gives the recorded ones of each window.
fn run(settings: GateSettings, n: u64) -> (Vec<Vec<u64>>, Vec<StopReason>) {
    let mut gate = Gate::new(settings);
    let (mut windows, mut reasons) = (Vec::new(), Vec::new());
    let mut open: Vec<u64> = Vec::new();
    let mut prepared = false;
    let mut settle = |gate: &mut Gate, moment, now_ns, open: &mut Vec<u64>| {
        loop {
            let reading = Reading { now_ns, events: open.len() as u64 * 100 };
            match gate.poll(moment, reading) {
                Action::None => break,
                Action::Prepare => prepared = true,
                Action::Start => {
                    assert!(prepared, "started without being prepared");
                    prepared = false;
                    open.clear();
                }
                Action::Stop(reason) => {
                    windows.push(std::mem::take(open));
                    reasons.push(reason);
                }
            }
        }
    };
    for i in 0..n {
        let now_ns = i * 1_000_000;
        settle(&mut gate, Moment::Waiting, now_ns, &mut open);
        settle(&mut gate, Moment::BeforeIteration, now_ns, &mut open);
        if gate.is_recording() {
            open.push(i);
        }
        gate.iteration_done();
        settle(&mut gate, Moment::AfterIteration, now_ns + 1_000_000, &mut open);
    }
    if let Action::Stop(reason) = gate.finish(StopReason::EndOfInput) {
        windows.push(open);
        reasons.push(reason);
    }
    (windows, reasons)
}

fn settings(delay: u64, warmup: u64, max: u64) -> GateSettings {
    GateSettings {
        delay_iters: delay,
        warmup_iters: warmup,
        max_iters: Some(max),
        ..GateSettings::default()
    }
}

#[test]
fn records_exactly_the_asked_iterations_for_every_setting() {
    for delay in 0..6 {
        for warmup in 0..4 {
            for max in 1..5 {
                let (windows, reasons) = run(settings(delay, warmup, max), 20);
                let first = delay + warmup;
                assert_eq!(windows, vec![(first..first + max).collect::<Vec<_>>()]);
                assert_eq!(reasons, vec![StopReason::MaxIterations]);
            }
        }
    }
}

#[test]
fn stops_right_after_the_last_iteration_without_another_one_arriving() {
    let mut gate = Gate::new(settings(0, 0, 1));
    let at = Reading::default();
    assert_eq!(gate.poll(Moment::BeforeIteration, at), Action::Prepare);
    assert_eq!(gate.poll(Moment::BeforeIteration, at), Action::Start);
    assert_eq!(gate.poll(Moment::BeforeIteration, at), Action::None);
    gate.iteration_done();
    assert_eq!(gate.poll(Moment::AfterIteration, at), Action::Stop(StopReason::MaxIterations));
    assert!(gate.is_closed());
}

#[test]
fn prepares_two_iterations_ahead_when_the_delay_leaves_room() {
    let mut gate = Gate::new(settings(5, 0, 1));
    for _ in 0..3 {
        assert_eq!(gate.poll(Moment::BeforeIteration, Reading::default()), Action::None);
        gate.iteration_done();
    }
    assert_eq!(gate.poll(Moment::BeforeIteration, Reading::default()), Action::Prepare);
    gate.iteration_done();
    assert_eq!(gate.poll(Moment::BeforeIteration, Reading::default()), Action::None);
    gate.iteration_done();
    assert_eq!(gate.poll(Moment::BeforeIteration, Reading::default()), Action::Start);
}

#[test]
fn repeats_the_whole_cycle_for_each_window() {
    let repeated = GateSettings { windows: 3, ..settings(1, 1, 2) };
    let (windows, reasons) = run(repeated, 30);
    assert_eq!(windows, vec![vec![2, 3], vec![6, 7], vec![10, 11]]);
    assert_eq!(reasons.len(), 3);
}

#[test]
fn an_idle_stage_stops_at_the_time_limit_with_what_it_has() {
    let limited = GateSettings { max_window_ns: Some(5_000_000_000), ..settings(0, 0, 9) };
    let mut gate = Gate::new(limited);
    let at = |s: u64| Reading { now_ns: s * 1_000_000_000, events: 0 };
    assert_eq!(gate.poll(Moment::Waiting, at(1)), Action::Prepare);
    assert_eq!(gate.poll(Moment::Waiting, at(1)), Action::Start);
    assert_eq!(gate.poll(Moment::Waiting, at(5)), Action::None);
    assert_eq!(gate.poll(Moment::Waiting, at(6)), Action::Stop(StopReason::MaxSeconds));
    assert_eq!(gate.poll(Moment::Waiting, at(7)), Action::None);
}

#[test]
fn time_and_event_limits_cut_between_iterations() {
    let timed = GateSettings { max_window_ns: Some(2_500_000), ..GateSettings::default() };
    assert_eq!(run(timed, 9), (vec![vec![0, 1, 2]], vec![StopReason::MaxSeconds]));
    let counted = GateSettings { max_events: Some(150), ..GateSettings::default() };
    assert_eq!(run(counted, 9), (vec![vec![0, 1]], vec![StopReason::MaxEvents]));
}

#[test]
fn an_unlimited_gate_records_to_the_end_and_an_early_end_is_said() {
    assert_eq!(
        run(GateSettings::default(), 3),
        (vec![vec![0, 1, 2]], vec![StopReason::EndOfInput])
    );
    assert_eq!(run(settings(1, 0, 5), 3), (vec![vec![1, 2]], vec![StopReason::EndOfInput]));
    assert_eq!(run(settings(5, 0, 5), 3), (vec![], vec![]));
}

#[test]
fn opens_only_at_an_iteration_when_waits_are_not_wanted() {
    let mut gate = Gate::new(GateSettings { open_at_iteration: true, ..settings(0, 0, 1) });
    assert_eq!(gate.poll(Moment::Waiting, Reading::default()), Action::Prepare);
    assert_eq!(gate.poll(Moment::Waiting, Reading::default()), Action::None);
    assert_eq!(gate.poll(Moment::AfterIteration, Reading::default()), Action::None);
    assert_eq!(gate.poll(Moment::BeforeIteration, Reading::default()), Action::Start);
}

#[test]
fn a_closed_gate_never_opens() {
    let mut gate = Gate::closed();
    assert!(gate.is_closed());
    assert_eq!(gate.poll(Moment::BeforeIteration, Reading::default()), Action::None);
    assert_eq!(gate.finish(StopReason::Interrupted), Action::None);
    assert_eq!(gate.windows_closed(), 0);
}
