/**
 * The algorithms as pure state machines: {@code action(state)} says what to do, {@code next(state,
 * outcome)} where that leads. No I/O, no clock, no threads; every seed follows from the run's.
 */
@NullMarked
package dev.vard.algorithm;

import org.jspecify.annotations.NullMarked;
