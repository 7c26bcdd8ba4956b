/** What a run is to do: immutable records, and the strict reader that makes them of a YAML file. */
@NullMarked
package dev.vard.spec;

import org.jspecify.annotations.NullMarked;
