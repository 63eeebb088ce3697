"""Apache Kafka in KRaft mode, one broker, over loopback: acks=all, an idempotent producer, and
flush.messages=1, so that an ack follows a sync (kafka.apache.org/documentation: Topic Configs).
The producer's numbers guard against its own retries only; ids of events are not looked at."""

import json
import pathlib
import subprocess
import uuid

import peer_nats
import server

BATCH_BYTES_AN_EVENT = 96       # so that a producer's batch holds about the batch of the others


def _java(context):
    return ["java", "-cp", context.tools["kafka"] + "/*"]


def ingest(context):
    port, control = server.free_port(), server.free_port()
    config = context.dir / "server.properties"
    config.write_text(
        "process.roles=broker,controller\nnode.id=1\n"
        f"controller.quorum.voters=1@127.0.0.1:{control}\n"
        f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
        "controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n"
        f"log.dirs={context.dir}/log\noffsets.topic.replication.factor=1\n"
        "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n")
    done = subprocess.run([*_java(context), "kafka.tools.StorageTool", "format", "-t",
                           uuid.uuid4().hex[:22], "-c", config], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-300:])
    file = context.dir / "events.txt"
    with file.open("wb") as out:
        for _, line in peer_nats.lines(context):
            out.write(line + b"\n")
    with server.Server([*_java(context), "-Xmx1g", "kafka.Kafka", config], context.dir) as running:
        server.connect(port, 120).close()
        source = pathlib.Path(__file__).with_name("kafka") / "KafkaRow.java"
        sender = subprocess.Popen(
            [*_java(context), "-Xmx2g", source, str(port), file,
             str(context.batch * BATCH_BYTES_AN_EVENT)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        usage = []
        for word in ("warm", "sent"):
            if sender.stdout.readline().strip() != word:
                raise RuntimeError(sender.communicate()[1].strip()[-300:])
            usage.append(running.usage())
            sender.stdin.write("\n")
            sender.stdin.flush()
        out, err = sender.communicate()
        if sender.returncode != 0:
            raise RuntimeError(err.strip()[-300:])
        told = json.loads(out)
        before, after = usage
        if told["records"] != context.events.count:
            raise RuntimeError(f"{told['records']} records are there")
    size = sum(path.stat().st_size for path in (context.dir / "log").rglob("*.log"))
    return {"seconds": told["seconds"], "client_cpu_seconds": told["cpu"], "bytes": size,
            "server_cpu_seconds": round(after["cpu_seconds"] - before["cpu_seconds"], 3),
            "server_resident_bytes": after["resident_bytes"], "distinct": told["distinct"],
            "sums": context.events.sums(told["sums"])}
