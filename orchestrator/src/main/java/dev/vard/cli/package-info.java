/** The command line. */
@NullMarked
package dev.vard.cli;

import org.jspecify.annotations.NullMarked;
