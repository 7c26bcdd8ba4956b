/**
 * Runs, their states, events and reward answers, in a database: H2 or PostgreSQL. Files are named
 * from here, never the other way round.
 */
@NullMarked
package dev.vard.store;

import org.jspecify.annotations.NullMarked;
