/**
 * Runs, their states, events and reward answers, in a database: H2 or PostgreSQL. Files are named
 * from here, never the other way round.
 */
package dev.vard.store;
