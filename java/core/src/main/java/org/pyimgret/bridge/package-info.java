/** The facade that Python calls: static methods with one signature each, primitives and strings only. */
package org.pyimgret.bridge;
