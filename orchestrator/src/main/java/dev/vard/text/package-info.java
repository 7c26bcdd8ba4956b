/** Text for terminals: what came from others, and commands to copy. */
@NullMarked
package dev.vard.text;

import org.jspecify.annotations.NullMarked;
