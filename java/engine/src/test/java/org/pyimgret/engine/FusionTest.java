package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_eltwise_relu;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Fusion alone, on graphs made by hand. */
class FusionTest {

    private static final Operation.Activation RELU = new Operation.Activation(dnnl_eltwise_relu, 0, 0);
    private static final int[] ONES = {1, 1};

    private final Node input = Node.input(Shape.maps(4, 4, 2));

    private static Node convolution(String name, Node before) {
        Window window = new Window(ONES, ONES, new int[2], ONES, false);
        float[] weights = {1, 2, 3, 4};
        return node(name, new Operation.Convolution(window, 1, 2, weights, new float[] {5, 6}, null), before);
    }

    private static Node node(String name, Operation operation, Node... inputs) {
        return Node.of(name, operation, List.of(inputs));
    }

    private static Node normalization(Node before) {
        return node("n", new Operation.Normalization(new float[] {2, 10}, new float[] {1, -1}), before);
    }

    private static List<String> names(Graph graph) {
        List<String> names = new ArrayList<>();
        graph.nodes.forEach(node -> names.add(node.name));
        return names;
    }

    @Test
    void normalizationBecomesPartOfTheWeights() {
        Node end = node("r", RELU, normalization(convolution("c", input)));
        Graph fused = Fusion.apply(Graph.of(input, end));
        assertEquals(List.of("input", "c"), names(fused));
        Operation.Weighted operation = (Operation.Weighted) fused.output().operation;
        assertArrayEquals(new float[] {2, 4, 30, 40}, operation.weights);
        assertArrayEquals(new float[] {11, 59}, operation.bias);
        assertEquals(List.of(RELU), fused.output().fused);
    }

    @Test
    void additionAndWhatFollowsGoIntoTheLaterConvolution() {
        Node first = convolution("first", input);
        Node second = convolution("second", first);
        Node end = node("r", RELU, node("a", new Operation.Add(), second, first));
        Graph fused = Fusion.apply(Graph.of(input, end));
        assertEquals(List.of("input", "first", "second"), names(fused));
        Node output = fused.output();
        assertEquals(2, output.fused.size());
        assertTrue(output.fused.get(0) instanceof Operation.Add);
        assertSame(RELU, output.fused.get(1));
        assertEquals(List.of(first, first), output.inputs);
    }

    @Test
    void aConvolutionThatIsReadTwiceStaysAsItIs() {
        Node first = convolution("first", input);
        Node end = node("a", new Operation.Add(), node("r", RELU, first), normalization(first));
        Graph fused = Fusion.apply(Graph.of(input, end));
        assertTrue(
                names(fused).containsAll(List.of("first", "r", "n", "a")),
                names(fused).toString());
        assertTrue(fused.nodes.get(1).fused.isEmpty());
    }

    @Test
    void normalizationAfterAnActivationStaysApart() {
        Node end = normalization(node("r", RELU, convolution("c", input)));
        assertEquals(List.of("input", "c", "n"), names(Fusion.apply(Graph.of(input, end))));
    }

    @Test
    void aSecondAdditionStaysApart() {
        Node first = convolution("first", input);
        Node sum = node("a", new Operation.Add(), convolution("second", first), input);
        Node end = node("b", new Operation.Add(), sum, first);
        assertEquals(List.of("input", "first", "second", "b"), names(Fusion.apply(Graph.of(input, end))));
    }

    @Test
    void twiceTheSameIsNoAdditionToFuse() {
        Node first = convolution("first", input);
        Node end = node("a", new Operation.Add(), first, first);
        assertEquals(List.of("input", "first", "a"), names(Fusion.apply(Graph.of(input, end))));
    }

    @Test
    void anInnerProductReadsFeatureMapsItself() {
        Node flat = node("f", new Operation.Flatten(), input);
        Node end = node("d", new Operation.InnerProduct(1, new float[32], new float[1]), flat);
        assertEquals(List.of("input", "d"), names(Fusion.apply(Graph.of(input, end))));
    }
}
