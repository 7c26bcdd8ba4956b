/** A run from its first event to its export: the engine that does what an algorithm asks for, and the folder it fills. */
package dev.vard.run;
