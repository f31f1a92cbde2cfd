"""A Perfetto trace as the `perfetto` package's own definitions read it: an oracle that shares no code with the program.

Packets are sorted by time as Perfetto's importer does (stable), clocks and interned texts are resolved per sequence, and
begins and ends are matched per track. Prints what it found, and what broke a rule, as JSON.
With `--fields FILE` it prints the field numbers of the messages that FILE (a .proto) names, by the package's descriptors.
"""

import json
import re
import sys

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb


def fields(path):
    found = {}
    stack = []
    for line in open(path):
        opened = re.match(r"\s*message (\w+)", line)
        if opened:
            stack.append(opened.group(1))
        elif line.strip() == "}":
            stack.pop()
        else:
            field = re.match(r"\s*(optional|repeated) (\w+) (\w+) = (\d+)", line)
            if field:
                message = pb
                for name in stack:
                    message = getattr(message, name, None)
                known = message.DESCRIPTOR.fields_by_name.get(field.group(3)) if message else None
                number = known.number if known else None
                found[".".join(stack) + "." + field.group(3)] = [int(field.group(4)), number]
    print(json.dumps(found))


def value(annotation, strings):
    kind = annotation.WhichOneof("value")
    if annotation.array_values:
        return [value(item, strings) for item in annotation.array_values]
    if annotation.dict_entries:
        return {item.name: value(item, strings) for item in annotation.dict_entries}
    return getattr(annotation, kind) if kind else None


def main(path):
    trace = pb.Trace()
    trace.ParseFromString(open(path, "rb").read())
    names, categories, keys, clocks, defaults, seen_state = {}, {}, {}, {}, {}, set()
    tracks, events, broken, specs, stages = {}, [], [], {}, []
    last_boot = None
    for packet in trace.packet:
        seq = packet.trusted_packet_sequence_id
        if packet.sequence_flags & 1:
            seen_state.add(seq)
            for table in (names, categories, keys):
                table[seq] = {}
            clocks[seq] = {}
            defaults[seq] = None
        if packet.HasField("trace_packet_defaults"):
            defaults[seq] = packet.trace_packet_defaults
        if packet.HasField("clock_snapshot"):
            boot = [c.timestamp for c in packet.clock_snapshot.clocks if c.clock_id == 6][0]
            if last_boot is not None and boot < last_boot:
                broken.append("the trace clock goes back")
            last_boot = boot
            for clock in packet.clock_snapshot.clocks:
                if 64 <= clock.clock_id < 128:
                    clocks[seq][clock.clock_id] = [boot, clock.is_incremental]
        for interned, table in (
            (packet.interned_data.event_names, names),
            (packet.interned_data.event_categories, categories),
            (packet.interned_data.debug_annotation_names, keys),
        ):
            for entry in interned:
                table[seq][entry.iid] = entry.name
        if packet.HasField("track_descriptor"):
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor
        for spec in packet.interned_data.gpu_specifications:
            specs[seq, spec.iid] = spec.name
        if packet.HasField("gpu_render_stage_event"):
            stage = packet.gpu_render_stage_event
            queue, kind = specs[seq, stage.hw_queue_iid], specs[seq, stage.stage_iid]
            extra = {data.name: data.value for data in stage.extra_data}
            stages.append([kind, queue, stage.gpu_id, packet.timestamp, stage.duration, extra])
        if not packet.HasField("track_event"):
            continue
        if packet.sequence_flags & 2 and seq not in seen_state:
            broken.append("state is needed and was not given")
        default = defaults.get(seq)
        clock_id = packet.timestamp_clock_id or (default.timestamp_clock_id if default else 0) or 6
        time = packet.timestamp
        if clock_id >= 64:
            clock = clocks[seq][clock_id]
            clock[0] += packet.timestamp
            time = clock[0]
        event = packet.track_event
        uuid = event.track_uuid or (default.track_event_defaults.track_uuid if default else 0)
        if uuid not in tracks:
            broken.append("a track that is not described")
        name = names[seq][event.name_iid] if event.name_iid else event.name
        cats = [categories[seq][iid] for iid in event.category_iids] + list(event.categories)
        args = {}
        for a in event.debug_annotations:
            args[keys[seq][a.name_iid] if a.name_iid else a.name] = value(a, None)
        events.append((time, uuid, event.type, name, ",".join(cats), args, event.legacy_event.phase))
    events.sort(key=lambda event: event[0])
    open_slices, rows, phases, correlations, depth = {}, {}, {}, 0, 0
    for time, uuid, kind, name, cat, args, phase in events:
        stack = open_slices.setdefault(uuid, [])
        if kind == pb.TrackEvent.TYPE_SLICE_BEGIN:
            stack.append((time, name, cat))
            depth = max(depth, len(stack))
            correlations += int(args.get("correlation") or 0)
        elif kind == pb.TrackEvent.TYPE_SLICE_END:
            if not stack:
                broken.append("an end without begin")
                continue
            start, name, cat = stack.pop()
            row = rows.setdefault((cat, name), [0, 0])
            row[0] += 1
            row[1] += time - start
        else:
            phases[phase] = phases.get(phase, 0) + 1
    broken += ["a slice that never ends" for stack in open_slices.values() for _ in stack]
    print(json.dumps({
        "broken": broken[:20],
        "rows": [[cat, name, n, total] for (cat, name), (n, total) in sorted(rows.items())],
        "phases": {chr(phase) if phase else "": n for phase, n in phases.items()},
        "correlations": correlations,
        "stages": stages,
        "processes": [t.process.process_name for t in tracks.values() if t.HasField("process")],
        "depth": depth,
    }))


if sys.argv[1] == "--fields":
    fields(sys.argv[2])
else:
    main(sys.argv[1])
