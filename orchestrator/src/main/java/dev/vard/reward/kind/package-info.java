/** The kinds of reward that a specification can name: built in, ONNX, remote, Python. */
package dev.vard.reward.kind;
