/*
 * KafkaRow - sends the lines of a file as records to one partition, waits for every ack, then reads
 * all of them back. Run by `java -cp LIBS KafkaRow.java PORT FILE BATCH_BYTES`. Says "warm" when
 * both sides have compiled what is hot and "sent" when the clock has stopped, and waits each time
 * for a line; ends with a line of JSON.
 */
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

public class KafkaRow {
    static final String TOPIC = "usage";
    static final String WARM = "warm";
    static final int WARM_EVENTS = 200_000;

    static List<byte[]> lines(Path path) throws Exception {
        List<byte[]> out = new ArrayList<>();
        try (InputStream in = new BufferedInputStream(Files.newInputStream(path), 1 << 20)) {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            for (int c = in.read(); c >= 0; c = in.read()) {
                if (c != '\n') {
                    line.write(c);
                    continue;
                }
                out.add(line.toByteArray());
                line.reset();
            }
        }
        return out;
    }

    static double cpuSeconds() {
        var system = (com.sun.management.OperatingSystemMXBean)
            ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }

    public static void main(String[] args) throws Exception {
        String server = "127.0.0.1:" + args[0];
        List<byte[]> events = lines(Path.of(args[1]));
        Properties options = new Properties();
        options.put("bootstrap.servers", server);
        try (Admin admin = Admin.create(options)) {
            // A sync for each append: what a producer has an ack for is on the disk.
            Map<String, String> synced = Map.of("flush.messages", "1");
            admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 1).configs(synced),
                new NewTopic(WARM, 1, (short) 1).configs(synced))).all().get();
        }
        options.put("acks", "all");
        options.put("enable.idempotence", "true");
        options.put("batch.size", args[2]);
        options.put("linger.ms", "5");
        options.put("buffer.memory", "67108864");
        String bytes = "org.apache.kafka.common.serialization.ByteArray";
        options.put("key.serializer", bytes + "Serializer");
        options.put("value.serializer", bytes + "Serializer");
        double cpu;
        double seconds;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(options)) {
            send(producer, WARM, events.subList(0, Math.min(events.size(), WARM_EVENTS)));
            pause("warm");
            cpu = cpuSeconds();
            long began = System.nanoTime();
            send(producer, TOPIC, events);
            seconds = (System.nanoTime() - began) / 1e9;
            cpu = cpuSeconds() - cpu;
            pause("sent");
        }
        readBack(server, bytes, seconds, cpu);
    }

    static void pause(String word) throws Exception {
        System.out.println(word);
        System.out.flush();
        while (System.in.read() != '\n') {
            continue;
        }
    }

    static void send(KafkaProducer<byte[], byte[]> producer, String topic, List<byte[]> events) {
        AtomicLong acked = new AtomicLong();
        for (byte[] event : events) {
            producer.send(new ProducerRecord<>(topic, 0, null, event), (meta, error) -> {
                if (error == null) {
                    acked.incrementAndGet();
                }
            });
        }
        producer.flush();
        if (acked.get() != events.size()) {
            throw new IllegalStateException(acked + " acks of " + events.size());
        }
    }

    static void readBack(String server, String bytes, double seconds, double cpu) {
        Properties options = new Properties();
        options.put("bootstrap.servers", server);
        options.put("key.deserializer", bytes + "Deserializer");
        options.put("value.deserializer", bytes + "Deserializer");
        options.put("auto.offset.reset", "earliest");
        Map<String, Long> sums = new TreeMap<>();
        Set<String> ids = new HashSet<>();
        int seen = 0;
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(options)) {
            TopicPartition partition = new TopicPartition(TOPIC, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofSeconds(1))) {
                    String[] fields = new String(one.value(), StandardCharsets.UTF_8).split(",");
                    ids.add(fields[0]);
                    sums.merge(fields[3], Long.parseLong(fields[2]), Long::sum);
                    seen++;
                }
            }
        }
        StringBuilder out = new StringBuilder();
        sums.forEach((tenant, sum) -> out.append(out.length() == 0 ? "" : ",")
            .append('"').append(tenant).append("\":").append(sum));
        System.out.printf("{\"seconds\":%.6f,\"cpu\":%.3f,\"records\":%d,\"distinct\":%d,"
            + "\"sums\":{%s}}%n", seconds, cpu, seen, ids.size(), out);
    }
}
