package dev.vard.cli;

import java.io.PrintStream;

/**
 * Where the program writes.
 *
 * @param out results
 * @param err everything else
 */
public record Console(PrintStream out, PrintStream err) {}
