/**
 * A run from its first event to its export: the engine that does what an algorithm asks, and the
 * folder it fills.
 */
@NullMarked
package dev.vard.run;

import org.jspecify.annotations.NullMarked;
