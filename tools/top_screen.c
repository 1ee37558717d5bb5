// SPDX-License-Identifier: GPL-2.0
/* The terminal of "msrguard top", see top_screen.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "top_screen.h"

/* The other screen, and no cursor; and back. */
#define ENTER	"\033[?1049h\033[?25l"
#define LEAVE	"\033[?25h\033[?1049l"
#define HOME	"\033[H"
#define END_LINE "\033[K"
#define END_SCREEN "\033[J"
#define NO_WRAP	"\033[?7l"
#define WRAP	"\033[?7h"

static struct termios before;
static bool has_keys;
static bool open_now;

static void take_keys(void)
{
	struct termios raw;

	has_keys = !tcgetattr(STDIN_FILENO, &before);
	if (!has_keys)
		return;
	raw = before;
	raw.c_lflag &= ~(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* In the background we would be stopped for good; then there are no keys for us either. */
	if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		has_keys = false;
}

void mg_screen_open(void)
{
	static bool registered;

	if (!registered)
		atexit(mg_screen_close);
	registered = true;
	take_keys();
	open_now = true;
	fputs(ENTER NO_WRAP, stdout);
	fflush(stdout);
}

void mg_screen_close(void)
{
	if (!open_now)
		return;
	open_now = false;
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	fputs(WRAP LEAVE, stdout);
	fflush(stdout);
}

void mg_screen_suspend(void)
{
	mg_screen_close();
	raise(SIGSTOP);
	mg_screen_open();
}

void mg_screen_size(size_t *columns, size_t *lines)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*columns = size.ws_col ?: 80;
	*lines = size.ws_row ?: 24;
}

void mg_screen_show(char *text)
{
	size_t columns, lines, len, line;
	char *end;

	mg_screen_size(&columns, &lines);
	fputs(HOME, stdout);
	for (line = 0; line < lines && *text; line++) {
		end = strchrnul(text, '\n');
		len = end - text;
		fwrite(text, 1, len < columns ? len : columns, stdout);
		fputs(END_LINE, stdout);
		/* A newline on the last line would scroll. */
		if (line + 1 < lines)
			fputc('\n', stdout);
		text = *end ? end + 1 : end;
	}
	fputs(END_SCREEN, stdout);
	fflush(stdout);
}
