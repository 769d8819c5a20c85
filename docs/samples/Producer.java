import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends one payment: java -cp kafka-clients.jar:slf4j-api.jar Producer.java BROKERS TOPIC TRANSACTION_ID CUSTOMER_ID AMOUNT. */
public class Producer {
    public static void main(String[] arguments) throws Exception {
        String transaction = arguments[2], customer = arguments[3], amount = arguments[4];
        Map<String, Object> settings = Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0],
            ProducerConfig.ACKS_CONFIG, "all",
            ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        // The key is the customer, and the partitioner the client's own for records with a key (Murmur2).
        String payment = """
            {"transaction_id": %s, "event_time": "%s", "customer_id": %s, "amount": %s,
             "currency": "EUR", "merchant_id": "m-0001", "merchant_category": "groceries",
             "country": "NL", "latitude": 52.1, "longitude": 4.3, "channel": "chip", "device_id": null}"""
            .formatted(quoted(transaction), Instant.now(), quoted(customer), Double.parseDouble(amount));
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var record = new ProducerRecord<String, String>(arguments[1], customer, payment);
            record.headers().add("traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".getBytes(StandardCharsets.US_ASCII));
            RecordMetadata place = producer.send(record).get(); // raises where the broker does not have it
            System.out.println(place.partition() + "/" + place.offset());
        }
    }

    /** A JSON text. Use a JSON library where you have one. */
    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }
}
