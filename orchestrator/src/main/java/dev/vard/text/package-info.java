/** Text for terminals: what came from others, and commands to copy. */
package dev.vard.text;
