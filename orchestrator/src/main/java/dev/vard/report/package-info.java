/** The page that shows what a run did: curves, pictures before and after, how to use its export. */
@NullMarked
package dev.vard.report;

import org.jspecify.annotations.NullMarked;
