/** What the numbers of several images say together. It uses nothing of the other packages. */
@NullMarked
package dev.vard.statistics;

import org.jspecify.annotations.NullMarked;
