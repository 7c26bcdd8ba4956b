/** The kinds of reward that a specification can name: built in, ONNX, remote, Python. */
@NullMarked
package dev.vard.reward.kind;

import org.jspecify.annotations.NullMarked;
