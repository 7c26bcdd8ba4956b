/** Rewards: black boxes that are asked once for each finished image. */
package dev.vard.reward;
