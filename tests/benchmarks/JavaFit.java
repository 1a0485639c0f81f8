import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.node.ObjectNode;
import org.pyimgret.nn.Json;
import org.pyimgret.nn.NetworkFactory;
import org.pyimgret.nn.Trainer;

/**
 * The Java half of java_fit.py: for every line "trainer" or "stock" that it reads, it makes a network,
 * trains it, and prints the seconds, the last epoch's loss, and the seconds of each epoch.
 */
final class JavaFit {

    private final JsonNode network;
    private final ObjectNode training;
    private final byte[] pixels;
    private final int epochs;
    private final BytePointer images;
    private final FloatPointer table = new FloatPointer(256);
    private final INDArray rows;
    private final StringBuilder times = new StringBuilder();

    private JavaFit(Path settings, Path pictures) throws Exception {
        JsonNode all = Json.parse(Files.readString(settings));
        network = all.get("network");
        training = (ObjectNode) all.get("training");
        epochs = all.get("epochs").asInt();
        pixels = Files.readAllBytes(pictures);
        images = new BytePointer(pixels);
        for (int value = 0; value < 256; value++) {
            table.put(value, value / 255f);
        }
        ObjectNode described = (ObjectNode) training.get("images");
        described.put("address", images.address());
        described.put("table", table.address());
        rows = asFloats(described.get("count").asInt());
    }

    public static void main(String[] arguments) throws Exception {
        JavaFit fit = new JavaFit(Path.of(arguments[0]), Path.of(arguments[1]));
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            fit.times.setLength(0);
            long start = System.nanoTime();
            double loss = line.equals("stock") ? fit.stock() : fit.trainer();
            System.out.println((System.nanoTime() - start) * 1e-9 + " " + loss + fit.times);
        }
    }

    private double trainer() {
        MultiLayerNetwork net = NetworkFactory.create(network);
        double loss = Double.NaN;
        try (Trainer trainer = new Trainer(net, training);
                DoublePointer progress = new DoublePointer(2)) {
            for (int epoch = 0; epoch < epochs; epoch++) {
                long start = System.nanoTime();
                loss = (double) trainer.epoch(epoch, 0, progress.address()).get("loss");
                times.append(" ").append((System.nanoTime() - start) * 1e-9);
            }
        }
        return loss;
    }

    private double stock() {
        MultiLayerNetwork net = NetworkFactory.create(network);
        int batch = training.get("batch_size").asInt();
        double sum = 0;
        for (int epoch = 0; epoch < epochs; epoch++) {
            int[] order = shuffled((int) rows.size(0), epoch);
            sum = 0;
            for (int from = 0; from < order.length; from += batch) {
                int[] chosen = java.util.Arrays.copyOfRange(order, from, Math.min(from + batch, order.length));
                INDArray features = Nd4j.pullRows(rows, 1, chosen);
                net.fit(features, features);
                sum += net.score() * chosen.length;
            }
        }
        return sum / rows.size(0);
    }

    private static int[] shuffled(int count, long seed) {
        int[] order = new int[count];
        java.util.Random random = new java.util.Random(seed);
        for (int i = 0; i < count; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        return order;
    }

    private INDArray asFloats(int count) {
        float[] values = new float[pixels.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (pixels[i] & 0xff) / 255f;
        }
        return Nd4j.create(values, new long[] {count, pixels.length / count}, 'c').castTo(DataType.FLOAT);
    }
}
