/** What a run is to do: immutable records, and the strict reader that makes them of a YAML file. */
package dev.vard.spec;
