/** The page that shows what a run did: curves, pictures before and after, how to use its export. */
package dev.vard.report;
