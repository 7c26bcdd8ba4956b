/** Rewards: black boxes that are asked once for each finished image. */
@NullMarked
package dev.vard.reward;

import org.jspecify.annotations.NullMarked;
