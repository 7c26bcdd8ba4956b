/**
 * Files as the program reads and makes them: text is UTF-8 whatever the locale, and what it makes
 * by itself is for its user alone whatever the umask.
 */
package dev.vard.files;
