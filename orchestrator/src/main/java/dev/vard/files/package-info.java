/**
 * Files as the program reads and makes them: text is UTF-8 whatever the locale, and what it makes
 * by itself is for its user alone whatever the umask.
 */
@NullMarked
package dev.vard.files;

import org.jspecify.annotations.NullMarked;
