"""How time and memory of every command grow with the input, over shapes of input that may make them grow faster.

    cargo build --release
    python3 benches/growth.py [--jobs 4] [--shape NAME ...] [--command NAME ...] [--markdown reports/growth.md]

Each input is made larger, by a factor of four, until a command takes long enough to be measured or the input has as many bytes
as are worth writing. From the last two sizes comes the exponent: with 1.0 four times the input takes four times as long. CPU seconds are
taken, the least of several runs, less those of an empty trace; memory is the peak of the process, less that of an empty trace.
Each of several measurements side by side has processors of its own. Exit code 1 where an exponent is above the limit, a command fails
that should not, or one takes longer than its time.
"""

import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile

# From so many CPU seconds on an input is large enough; an exponent is meaningful from a quarter of them and from so many bytes of
# memory on.
LONG_ENOUGH_S = 0.4
LARGE_ENOUGH_BYTES = 64 << 20
FACTOR = 4
# An input that another step would make larger than this is the last.
MOST_BYTES = 128 << 20
# CPU seconds after which a run is ended, and what then stands for its exit code.
TIME_LIMIT_S = 20
NO_END = 124
# What was read of a trace before is read again.
ENVIRONMENT = os.environ | {"OMNI_TRACE_CACHE": "off"}


def document(events, head="", tail=""):
    yield '{"schemaVersion": 1,' + head + '"traceEvents": ['
    first = True
    for event in events:
        yield event if first else ",\n" + event
        first = False
    yield "]" + tail + "}"


def slice_(name="op", ts=0, dur=1, tid=1, pid=1, cat="cpu_op", args=""):
    return f'{{"ph":"X","cat":"{cat}","name":"{name}","pid":{pid},"tid":{tid},"ts":{ts},"dur":{dur},"args":{{{args}}}}}'


def kernel(i, name="kernel", ts=0, dur=1, device=0, stream=7, args=""):
    args = f'"device":{device},"stream":{stream},"correlation":{i}' + args
    return slice_(name, ts, dur, stream, device, "kernel", args)


def clean(n):
    for i in range(n // 4):
        t = 10 * i
        yield slice_(f"aten::op{i % 50}", t, 8)
        yield slice_("cudaLaunchKernel", t + 1, 2, cat="cuda_runtime", args=f'"correlation":{i}')
        yield f'{{"ph":"s","id":{i},"pid":1,"tid":1,"ts":{t + 1},"cat":"ac2g","name":"ac2g"}}'
        yield kernel(i, f"kernel{i % 30}", t + 4, 5)


def one_event(n):
    yield slice_("before")
    yield slice_("large", args='"x":"' + "x" * n + '"')
    yield slice_("after", 5)


def one_event_of_objects(n):
    yield slice_("large", args='"x":[' + ",".join(['{"ph":1}'] * (n // 9)) + "]")
    yield slice_("after", 5)


def bad_events(n):
    for i in range(n):
        yield f'{{"ph":"X","name":"a"b","pid":1 "ts":{i},,"args":{{]}}'


def unclosed_strings(n):
    for i in range(n):
        yield f'{{"ph":"X","cat":"cpu_op","name":"a,"pid":1,"tid":1,"ts":{i},"dur":1}}'


def flipped_once(n):
    yield slice_("before")
    yield '{"ph":"X","cat":"cpu_op","name":"a"","pid":1,"tid":1,"ts":1,"dur":1}'
    for i in range(n):
        yield slice_(ts=i, args='"x":"y"')


def nested(n):
    for i in range(n):
        yield slice_("frame", i, 4 * n - 2 * i, cat="python_function")


def crossing(n):
    for i in range(n):
        yield slice_("frame", 2 * i, 4 * n, cat="python_function")


def crossing_some(n):
    for i in range(n):
        yield slice_("op", 2 * i, 100 + i % 7)


def processes(n):
    for i in range(n):
        yield slice_(ts=i, pid=100 + i)


def threads(n):
    for i in range(n):
        yield slice_(ts=i, tid=100 + i)


def process_metadata(n):
    yield slice_()
    for i in range(n):
        yield f'{{"ph":"M","name":"process_name","pid":{i},"tid":0,"args":{{"name":"process {i}"}}}}'
        yield f'{{"ph":"M","name":"process_labels","pid":{i},"tid":0,"args":{{"labels":"label {i}"}}}}'


def same_process_metadata(n):
    yield slice_()
    for i in range(n):
        yield f'{{"ph":"M","name":"process_name","pid":1,"tid":0,"args":{{"name":"process {i}"}}}}'


def groups(n):
    for i in range(n):
        args = (f',"Collective name":"allreduce","In msg nelems":100,"dtype":"BFloat16","Group size":2,'
                f'"Process Group Name":"{i}","Process Group Ranks":"[0, 1]"')
        yield kernel(i, "ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 2 * i, 1, args=args)


def collectives(n):
    for i in range(n):
        args = (f',"Collective name":"allreduce","In msg nelems":{i % 100},"dtype":"BFloat16","Group size":2,'
                f'"Process Group Name":"7","Process Group Ranks":"[0, 1]"')
        yield kernel(i, "ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 2 * i, 1, args=args)


def copies(n):
    for i in range(n):
        yield slice_("Memcpy HtoD (Pageable -> Device)", 2 * i, 1, 7, 0, "gpu_memcpy",
                     f'"device":0,"stream":7,"correlation":{i},"bytes":{i},"memory bandwidth (GB/s)":1.5')


def names(n):
    for i in range(n):
        yield slice_(f"a name of its own, {i}", i)


def kernel_names(n):
    for i in range(n):
        yield kernel(i, f"kernel_{i}", 2 * i)


def one_name(n):
    yield slice_("x" * n)


def categories(n):
    for i in range(n):
        yield slice_(ts=i, cat=f"category {i}")


def same_correlation(n):
    for i in range(n):
        yield slice_("cudaLaunchKernel", 3 * i, 2, cat="cuda_runtime", args='"correlation":5')
        yield kernel(5, "kernel", 3 * i + 1, 2)


def overlapping_kernels(n):
    for i in range(n):
        yield kernel(i, "kernel", i, n)


def streams(n):
    for i in range(n):
        yield kernel(i, "kernel", i, 5, stream=i)


def devices(n):
    for i in range(n):
        yield kernel(i, "kernel", i, 5, device=i)


def flows_of_one_id(n):
    for i in range(n):
        yield slice_(ts=4 * i, dur=2)
        yield f'{{"ph":"s","id":5,"pid":1,"tid":1,"ts":{4 * i},"cat":"c","name":"n"}}'
        yield f'{{"ph":"f","bp":"e","id":5,"pid":1,"tid":1,"ts":{4 * i + 1},"cat":"c","name":"n"}}'


def begins_without_end(n):
    for i in range(n):
        yield f'{{"ph":"B","cat":"c","name":"n","pid":1,"tid":1,"ts":{i}}}'


def asyncs_of_one_id(n):
    for i in range(n):
        yield f'{{"ph":"b","cat":"c","name":"n","id":1,"pid":1,"tid":1,"ts":{i}}}'
    for i in range(n):
        yield f'{{"ph":"e","cat":"c","name":"n","id":1,"pid":1,"tid":1,"ts":{n + i}}}'


def counters(n):
    for i in range(n):
        yield f'{{"ph":"C","name":"counter {i}","pid":1,"tid":1,"ts":{i},"args":{{"a":1,"b":{i}}}}}'


def steps(n):
    for i in range(n):
        yield slice_(f"ProfilerStep#{i}", 10 * i, 10, cat="user_annotation")
        yield slice_("cudaLaunchKernel", 10 * i + 1, 2, cat="cuda_runtime", args=f'"correlation":{i}')
        yield kernel(i, "kernel", 10 * i + 4, 5)


def waits(n):
    name = "vllm/distributed/device_communicators/shm_broadcast.py(516): acquire_read"
    for i in range(n):
        yield slice_("vllm/v1/worker.py(1): loop", 10 * i, 9, cat="python_function")
        yield slice_(name, 10 * i + 1, 5, cat="python_function")


def arguments_of_one_event(n):
    yield slice_(args=",".join(f'"key {i}":{i}' for i in range(n)))


def deep_arguments(n):
    yield slice_(args='"x":' + "[" * n + "]" * n)


def events(make):
    return lambda n: document(make(n))


def head_member(n):
    return document(clean(1000), head='"member": "' + "y" * n + '",')


def head_members(n):
    members = "".join(f'"member {i}": {{"a": {i}}},' for i in range(n))
    return document(clean(1000), head=members)


def head_of_spaces(n):
    return document(clean(1000), head=" " * n)


def process_groups(n):
    config = ",".join(f'{{"pg_name":"{i}","pg_desc":"group {i}","pg_size":2,"ranks":[0,1]}}' for i in range(n))
    head = f'"distributedInfo": {{"backend":"nccl","rank":0,"world_size":2,"pg_config":[{config}]}},'
    return document(clean(1000), head=head)


def spaces_between(n):
    return document(iter([slice_(), " " * n + slice_(ts=5)]))


def spaces_in_all(n):
    return document(" " * 1000 + slice_(ts=i) for i in range(n // 1000))


def second_document(n):
    yield from document(clean(1000))
    yield "\n"
    yield from document(clean(n))


def many_documents(n):
    for i in range(n):
        yield from document(iter([slice_(ts=i)]))
        yield "\n"


def rubble_before(n):
    yield '{"' * (n // 2)
    yield from document(clean(1000))


def rubble_behind(n):
    yield from document(clean(1000))
    yield "]}" + '{"name":' * (n // 8)


def brackets_behind(n):
    yield from document(clean(1000))
    yield '"traceEvents":[{' * (n // 16)


def tail_member(n):
    return document(clean(1000), tail=',"member": "' + "y" * n + '"')


def log_of_requests(n):
    for i in range(n):
        yield json.dumps({"request_id": f"r{i}", "stage_id": 0, "num_tokens_in": 5, "num_tokens_out": 7,
                          "stage_gen_time_ms": 12.5, "batch_id": i, "batch_size": 1}) + "\n"


def log_of_warnings(n):
    for i in range(n):
        yield f"WARNING 06-01 10:00:00 [core.py:{i % 100}] something odd number {i}\n"


# Name: what is written, and a usual size (of what its function counts).
EVENTS = 1 << 18
BYTES = 128 << 20
TRACES = {make.__name__: (events(make), largest) for make, largest in [
    (clean, 4 * EVENTS), (one_event, BYTES), (one_event_of_objects, BYTES), (bad_events, EVENTS), (unclosed_strings, EVENTS),
    (flipped_once, EVENTS), (nested, EVENTS), (crossing, EVENTS), (crossing_some, EVENTS), (processes, EVENTS),
    (threads, EVENTS), (process_metadata, EVENTS), (same_process_metadata, EVENTS), (groups, EVENTS), (collectives, EVENTS),
    (copies, EVENTS), (names, EVENTS), (kernel_names, EVENTS), (one_name, BYTES), (categories, EVENTS),
    (same_correlation, EVENTS), (overlapping_kernels, EVENTS), (streams, EVENTS), (devices, EVENTS),
    (flows_of_one_id, EVENTS), (begins_without_end, EVENTS), (asyncs_of_one_id, EVENTS), (counters, EVENTS), (steps, EVENTS),
    (waits, EVENTS), (arguments_of_one_event, EVENTS), (deep_arguments, BYTES)]}
TRACES |= {make.__name__: (make, largest) for make, largest in [
    (head_member, BYTES), (head_members, EVENTS), (head_of_spaces, BYTES), (process_groups, EVENTS), (spaces_between, BYTES),
    (spaces_in_all, BYTES), (second_document, 4 * EVENTS), (many_documents, EVENTS), (rubble_before, BYTES // 4),
    (rubble_behind, BYTES), (brackets_behind, BYTES), (tail_member, BYTES)]}
LOGS = {make.__name__: (make, EVENTS) for make in (log_of_requests, log_of_warnings)}

# Of each command: its arguments, with the inputs and the output filled in.
COMMANDS = {
    "analyze": ["analyze", "IN", "--format", "json"],
    "bandwidth": ["bandwidth", "IN", "--format", "json"],
    "merge": ["merge", "IN", "COPY", "-o", "OUT.json"],
    "pftrace": ["merge", "IN", "COPY", "-o", "OUT.pftrace"],
    "slim": ["slim", "IN", "-o", "OUT.json"],
    "report": ["report", "IN", "-o", "OUT"],
    "check": ["check", "IN"],
    "diff": ["diff", "IN", "COPY"],
    "critical-path": ["critical-path", "IN", "--format", "json"],
    "what-if": ["what-if", "IN", "--free", "launch", "--format", "json"],
    "partial": ["analyze", "IN", "--partial", "OUT.otp"],
    # Made of the input before it is measured.
    "reduce": ["reduce", "PARTIAL", "--format", "json"],
}
LOG_COMMANDS = {"stages": ["stages", "IN", "--format", "json"], "stages --html": ["stages", "IN", "--html", "OUT.html"]}


def limit_cpu():
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_LIMIT_S, TIME_LIMIT_S))


def run(binary, command, path, copy, folder):
    out = os.path.join(folder, "out")
    subprocess.run(["rm", "-rf", *(out + ending for ending in ("", ".json", ".html", ".pftrace", ".otp"))], check=True)
    words = {"IN": path, "COPY": copy, "PARTIAL": partial_of(binary, path, folder) if "PARTIAL" in command else ""}
    arguments = [words.get(word, word.replace("OUT", out)) for word in command]
    with open(os.path.join(folder, "stderr"), "w+b") as errors:
        process = subprocess.Popen([binary, *arguments, "--quiet"], stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=limit_cpu,
                                   env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        errors.seek(0)
        said = errors.read(300).decode(errors="replace").strip().split("\n")[0]
    code = os.waitstatus_to_exitcode(status)
    code = NO_END if code in (-signal.SIGKILL, -signal.SIGXCPU) else code
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, code, said


def partial_of(binary, path, folder):
    """The partial result of an input, made once. It is missing where there is none."""
    made = os.path.join(folder, f"partial-{os.path.getsize(path)}.otp")
    if not os.path.exists(made):
        subprocess.run([binary, "analyze", path, "--partial", made, "--quiet"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, preexec_fn=limit_cpu, env=ENVIRONMENT, check=False)
    return made


def write(path, pieces):
    """Writes an input and its copy, in a process of its own: the peak memory of a run begins with that of who started it."""
    copy = path.replace("rank0", "rank1")
    child = os.fork()
    if child == 0:
        write_here(path, copy, pieces)
        os._exit(0)
    os.waitpid(child, 0)
    return copy, os.path.getsize(path)


def write_here(path, copy, pieces):
    with open(path, "w", buffering=1 << 20) as file:
        file.writelines(pieces)
    if os.path.lexists(copy):
        os.unlink(copy)
    # The second input is the same text with a character more: the same file twice would be read once.
    with open(path, "rb") as source, open(copy, "wb") as target:
        while block := source.read(1 << 22):
            target.write(block)
        target.write(b"\n")


def exponent(small, large):
    """Of the last factor of the sizes."""
    return math.log(large / small) / math.log(FACTOR) if small > 0 and large > 0 else 0.0


def bases_of(binary):
    """CPU seconds and memory of each command on next to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rank0.json")
        copy, _ = write(path, document(clean(4)))
        bases = {name: run(binary, command, path, copy, folder) for name, command in COMMANDS.items()}
    return bases | {name: (0.005, 4 << 20) for name in LOG_COMMANDS}


def grow(work):
    """What each of some commands takes for a shape, at the last size that was measured."""
    binary, shape, names, bases = work
    is_log = shape in LOGS
    make, usual = (LOGS if is_log else TRACES)[shape]
    n, last, found = max(usual >> 4, 1 << 8), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        while len(found) < len(names):
            path = os.path.join(folder, "rank0" + (".log" if is_log else ".json"))
            copy, size = write(path, make(n))
            for name in [name for name in names if name not in found]:
                command = (LOG_COMMANDS if is_log else COMMANDS)[name]
                cpu, memory, code, said = measured(binary, command, (path, copy, folder))
                now = (max(cpu - bases[name][0], 1e-3), max(memory - bases[name][1], 1))
                is_enough = now[0] >= LONG_ENOUGH_S and name in last
                if code == NO_END or is_enough or size * FACTOR > MOST_BYTES:
                    before = last.get(name, now)
                    by_memory = exponent(before[1], now[1]) if now[1] > LARGE_ENOUGH_BYTES else None
                    by_time = exponent(before[0], now[0]) if now[0] > LONG_ENOUGH_S / 4 else None
                    found[name] = {"bytes": size, "cpu_s": now[0], "memory": now[1], "time": by_time, "by_memory": by_memory,
                                   "code": code, "said": said}
                last[name] = now
            n *= FACTOR
    # Of a trace that gives no partial result there is nothing to reduce.
    return [(shape, name, found[name]) for name in names if name != "reduce" or found[name]["code"] == 0]


def is_above(found, limit):
    return max(found["time"] or 0, found["by_memory"] or 0) > limit


def grow_surely(work):
    """As `grow`; what is above the limit is measured again, twice at most: other work on the machine makes single measurements long."""
    limit, binary, shape, _, bases = work[0], *work[1]
    rows = []
    for _, name, found in grow(work[1]):
        for _ in range(2):
            if is_above(found, limit):
                again = grow((binary, shape, [name], bases))[0][2]
                found = min(found, again, key=lambda one: max(one["time"] or 0, one["by_memory"] or 0))
        rows.append((shape, name, found))
    return rows


def pin(free):
    """Has this process and all that it starts run on processors that no other measurement has."""
    os.sched_setaffinity(0, free.get())


def measured(binary, command, files):
    """CPU seconds and memory of a run, the least of two where it is short; and how it ended."""
    path, copy, folder = files
    cpu, memory, code, said = run(binary, command, path, copy, folder)
    if cpu < 2 * LONG_ENOUGH_S:
        again = run(binary, command, path, copy, folder)
        cpu, memory = min(cpu, again[0]), min(memory, again[1])
    return cpu, memory, code, said


def row(shape, command, found):
    show = lambda value: "-" if value is None else f"{value:.2f}"
    said = found["said"]
    words = "nothing to free" if "launch" in said and command == "what-if" else "no trace" if "trace" in said else said[:60]
    code = {0: "", NO_END: "no end"}.get(found["code"], words)
    return (f"| {shape} | {command} | {found['bytes'] / 1e6:.1f} | {found['cpu_s']:.2f} | {show(found['time'])} "
            f"| {found['memory'] / 1e6:.0f} | {show(found['by_memory'])} | {code} |")


PREAMBLE = """# How time and memory grow with the input

Made by `benches/growth.py --jobs {jobs}` on {cores} cores that did nothing else, {each} for each measurement: {rows} rows, every command
over every one of {shapes} shapes. Each row is the largest input that was measured: the first on which the command took {long} s of the
processor, or one of which four times would be more than {most} MiB. The exponents are those of the last factor of four: 1.00 is linear. A
hyphen stands where too little was used to tell (a quarter of that time, {memory} MiB). "no trace": nothing in it can be read, which is
said. "nothing to free": there are no launches, which is an error that names it. Above {limit}: {bad}.

"""

HEADING = """| shape | command | MB | CPU s | exponent | memory MB | exponent | |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", default="target/release/omni-trace")
    arguments.add_argument("--shape", nargs="*", default=[*TRACES, *LOGS])
    arguments.add_argument("--command", nargs="*", default=[*COMMANDS, *LOG_COMMANDS])
    arguments.add_argument("--jobs", type=int, default=1, help="measurements side by side")
    arguments.add_argument("--limit", type=float, default=1.2)
    arguments.add_argument("--markdown", help="a file for the table")
    options = arguments.parse_args()
    lines, bad = [HEADING], []
    print(HEADING, flush=True)
    bases = bases_of(options.binary)
    asked = lambda shape: [name for name in (LOG_COMMANDS if shape in LOGS else COMMANDS) if name in options.command]
    free, cores = multiprocessing.Queue(), sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // options.jobs)
    for job in range(options.jobs):
        free.put(set(cores[job * each % len(cores):][:each]))
    with concurrent.futures.ProcessPoolExecutor(options.jobs, initializer=pin, initargs=(free,)) as pool:
        work = [(options.limit, (options.binary, shape, asked(shape), bases)) for shape in options.shape]
        for shape, name, found in (one for all in pool.map(grow_surely, work) for one in all):
            line = row(shape, name, found)
            print(line, flush=True)
            lines.append(line)
            if is_above(found, options.limit) or found["code"] not in (0, 1, 2):
                bad.append(f"{shape} {name}")
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(PREAMBLE.format(jobs=options.jobs, cores=len(cores), each=each, rows=len(lines) - 1,
                                       shapes=len(options.shape), limit=options.limit, bad=", ".join(bad) or "none",
                                       long=LONG_ENOUGH_S, most=MOST_BYTES >> 20,
                                       memory=LARGE_ENOUGH_BYTES >> 20))
            file.write("\n".join(lines) + "\n")
    if bad:
        sys.exit(f"{len(bad)} above {options.limit} or without an end: {', '.join(bad)}")
    print(f"all below {options.limit}")


if __name__ == "__main__":
    main()
