/**
 * A run from its first event to its export: the engine that does what an algorithm asks, and the
 * folder it fills.
 */
package dev.vard.run;
