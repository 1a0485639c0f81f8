package org.pyimgret.engine;

import static org.bytedeco.dnnl.global.dnnl.dnnl_ab;
import static org.bytedeco.dnnl.global.dnnl.dnnl_nchw;
import static org.bytedeco.dnnl.global.dnnl.dnnl_nhwc;

import org.bytedeco.dnnl.dnnl_memory_desc;

/** Some of a value: rows or pixels of feature maps, or numbers of a vector. */
final class View {

    final Value value;
    final Range range;

    View(Value value, Range range) {
        this.value = value;
        this.range = range;
    }

    /** Rows of this part; one where it does not begin and end with a row. */
    int rows() {
        return whole() ? range.length() / rowLength() : 1;
    }

    int columns() {
        return whole() ? value.shape.width : range.length() / value.shape.channels;
    }

    private boolean whole() {
        return range.from % rowLength() == 0 && range.length() % rowLength() == 0;
    }

    private int rowLength() {
        return value.shape.width * value.shape.channels;
    }

    /** Describes it to oneDNN: a matrix of vectors, or feature maps with the channels innermost. */
    dnnl_memory_desc describe(Resources resources) {
        if (value.shape.vector) {
            return OneDnn.describe(resources, value.encoding.type, dnnl_ab, value.images, range.length());
        }
        return asMaps(resources, dnnl_nhwc, rows(), columns(), value.shape.channels);
    }

    /** Describes the same memory as feature maps with the channels outermost. */
    dnnl_memory_desc describeChannelsFirst(Resources resources, Shape maps) {
        return asMaps(resources, dnnl_nchw, maps.height, maps.width, maps.channels);
    }

    /** Describes it with four dimensions, of which a vector uses two. */
    dnnl_memory_desc describeAsMaps(Resources resources) {
        return value.shape.vector ? asMaps(resources, dnnl_nhwc, 1, 1, range.length()) : describe(resources);
    }

    private dnnl_memory_desc asMaps(Resources resources, int format, int height, int width, int channels) {
        return OneDnn.describe(resources, value.encoding.type, format, value.images, channels, height, width);
    }

    /** Describes the channels {@code first} to {@code first + channels} of it, without the others. */
    dnnl_memory_desc describeChannels(Resources resources, int channels) {
        int all = value.shape.vector ? range.length() : value.shape.channels;
        int rows = value.shape.vector ? 1 : rows();
        int columns = value.shape.vector ? 1 : columns();
        long row = (long) columns * all;
        return OneDnn.describe(
                resources, value.encoding.type, new long[] {value.images, channels, rows, columns}, new long[] {
                    rows * row, 1, row, all
                });
    }

    /** The same memory, from a channel on. */
    View from(int channel) {
        return new View(value, new Range(range.from + channel, range.to));
    }

    Step.Argument argument(int kind, Resources resources) {
        return argument(kind, describe(resources));
    }

    Step.Argument argument(int kind, dnnl_memory_desc description) {
        return Step.Argument.of(kind, description, value, range.from);
    }
}
