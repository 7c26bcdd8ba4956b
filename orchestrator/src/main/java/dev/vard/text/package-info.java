/** Text that came from others. */
package dev.vard.text;
