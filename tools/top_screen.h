/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The terminal of "msrguard top", by the escape sequences that every terminal of today obeys.
 */
#ifndef MSRGUARD_TOP_SCREEN_H
#define MSRGUARD_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/**
 * mg_screen_open - take the terminal, to be given back at exit whatever ends the command
 *
 * Standard input, if it is the terminal too, then gives keys one by one, without an echo.
 */
void mg_screen_open(void);

/** mg_screen_close - give it back; may be called again */
void mg_screen_close(void);

/** mg_screen_suspend - give it back, stop as Ctrl-Z asks, and take it again */
void mg_screen_suspend(void);

/** mg_screen_size - what the terminal has now; 80 by 24 if it does not say */
void mg_screen_size(size_t *columns, size_t *lines);

/**
 * mg_screen_show - put a text of several lines, as much of it as there is room for
 * @text: changed
 */
void mg_screen_show(char *text);

#endif /* MSRGUARD_TOP_SCREEN_H */
