package plain;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Runs a saved model with Deeplearning4j alone: arguments are the zip, the code layer, the input's
 * layout, height, width and channels, a file of tensors, and the file for the codes.
 */
public final class PlainDl4j {

    private PlainDl4j() {}

    /** Runs it. */
    public static void main(String[] arguments) throws Exception {
        String[] shape = arguments[2].split(",");
        INDArray input = arrange(
                floats(Path.of(arguments[3])),
                shape[0],
                Long.parseLong(shape[1]),
                Long.parseLong(shape[2]),
                Long.parseLong(shape[3]));
        INDArray codes;
        if (arguments[1].matches("\\d+")) {
            MultiLayerNetwork network = ModelSerializer.restoreMultiLayerNetwork(arguments[0]);
            codes = network.feedForwardToLayer(Integer.parseInt(arguments[1]), input, false)
                    .get(Integer.parseInt(arguments[1]) + 1);
        } else {
            ComputationGraph network = ModelSerializer.restoreComputationGraph(arguments[0]);
            codes = network.feedForward(input, false).get(arguments[1]);
        }
        float[] numbers = codes.dup('c').data().asFloat();
        ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(numbers);
        Files.write(Path.of(arguments[4]), bytes.array());
    }

    private static float[] floats(Path file) throws Exception {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        float[] numbers = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(numbers);
        return numbers;
    }

    private static INDArray arrange(float[] all, String layout, long h, long w, long c) {
        INDArray pictures = Nd4j.createFromArray(all).reshape(-1, h, w, c);
        switch (layout) {
            case "CONVOLUTIONAL":
                return pictures.permute(0, 3, 1, 2).dup('c');
            case "RECURRENT":
                return pictures.reshape(-1, h, w * c).permute(0, 2, 1).dup('c');
            default:
                return pictures.reshape(-1, h * w * c);
        }
    }
}
