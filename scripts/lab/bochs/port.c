// SPDX-License-Identifier: GPL-2.0
/*
 * What a host under Bochs has instead of a shared folder and a power switch:
 *
 *   port watch DIR   sends each file of DIR that is new or changes, until SIGTERM
 *   port shutdown    ends the emulator
 *
 * Files go out byte by byte by port 0xe9, which Bochs prints to its standard output,
 * where "run" puts them together again. A frame is a NUL, a line
 * "@@lab OFFSET LENGTH MODE PATH", and so many bytes.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_OUTPUT	0xe9
#define PORT_SHUTDOWN	0x8900
#define INTERVAL_US	300000
#define CHUNK		65536

/* What was sent of a file, or was there from the start. */
struct seen {
	char *path;
	ino_t inode;
	off_t size;
	struct timespec mtime;
	bool in_parts;
};

static struct seen *files;
static size_t nr_files;
static volatile sig_atomic_t ending;
/* /dev/port, on kernels that let no process do its own I/O (debug kernels); else -1. */
static int port_file = -1;

static void open_ports(void)
{
	if (!iopl(3))
		return;
	port_file = open("/dev/port", O_WRONLY | O_CLOEXEC);
	if (port_file < 0)
		err(1, "iopl and /dev/port");
}

static void out(unsigned int port, const char *data, size_t len)
{
	size_t i;

	if (port_file < 0) {
		outsb(port, data, len);
		return;
	}
	/* Of several bytes it would write each to a port of its own. */
	for (i = 0; i < len; i++)
		if (pwrite(port_file, &data[i], 1, port) != 1)
			err(1, "/dev/port");
}

static void frame(const char *path, mode_t mode, off_t offset, const char *data, size_t len)
{
	char head[4200];
	int n = snprintf(head + 1, sizeof(head) - 1, "@@lab %lld %zu %o %s\n",
			 (long long)offset, len, mode & 0777, path);

	head[0] = 0;
	out(PORT_OUTPUT, head, n + 1);
	out(PORT_OUTPUT, data, len);
}

/* Sends a file from @offset on; returns how far it came. */
static off_t send_file(const char *path, off_t offset)
{
	static char data[CHUNK];
	struct stat st;
	ssize_t len;
	bool any = false;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return offset;
	if (fstat(fd, &st)) {
		close(fd);
		return offset;
	}
	while ((len = pread(fd, data, sizeof(data), offset)) > 0 || (!any && !offset)) {
		if (len < 0)
			break;
		frame(path, st.st_mode, offset, data, len);
		any = true;
		offset += len;
	}
	close(fd);
	return offset;
}

static struct seen *look_up(const char *path)
{
	size_t i;

	for (i = 0; i < nr_files; i++)
		if (!strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}

enum pass { FIRST, REGULAR, LAST };

/*
 * One file: sent if it differs from what is known. One that only grew goes on where it was,
 * and is sent whole once more in the end, since it may have been written anew.
 */
static void visit_file(const char *path, const struct stat *st, enum pass pass)
{
	struct seen *seen = look_up(path);
	off_t sent = st->st_size;
	off_t from = 0;

	if (seen && seen->inode == st->st_ino && seen->size == st->st_size &&
	    seen->mtime.tv_sec == st->st_mtim.tv_sec &&
	    seen->mtime.tv_nsec == st->st_mtim.tv_nsec && !(pass == LAST && seen->in_parts))
		return;
	if (seen && pass == REGULAR && seen->inode == st->st_ino && st->st_size > seen->size)
		from = seen->size;
	if (pass != FIRST)
		sent = send_file(path, from);
	if (!seen) {
		files = realloc(files, (nr_files + 1) * sizeof(*files));
		if (!files)
			err(1, "realloc");
		seen = &files[nr_files++];
		seen->in_parts = false;
		seen->path = strdup(path);
		if (!seen->path)
			err(1, "strdup");
	}
	if (from)
		seen->in_parts = true;
	seen->inode = st->st_ino;
	seen->size = sent;
	seen->mtime = st->st_mtim;
}

/*
 * By name, so that what is a file's own and comes later in the alphabet ("x.tap" after "x.rc")
 * is at least as new as the other.
 */
static void visit(const char *dir, enum pass pass)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	int i;

	for (i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		char path[4096];
		struct stat st;

		if (strcmp(name, ".") && strcmp(name, "..") &&
		    snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
		    !lstat(path, &st)) {
			if (S_ISDIR(st.st_mode))
				visit(path, pass);
			else if (S_ISREG(st.st_mode))
				visit_file(path, &st, pass);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void on_term(int signal)
{
	(void)signal;
	ending = 1;
}

/* Prints the process to be ended by SIGTERM, as soon as it watches. */
static int watch(const char *dir)
{
	struct sigaction action = { .sa_handler = on_term };
	pid_t pid;

	if (chdir(dir))
		err(1, "%s", dir);
	visit(".", FIRST);
	sigaction(SIGTERM, &action, NULL);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid) {
		printf("%d\n", pid);
		return 0;
	}
	fclose(stdout);
	open_ports();
	while (!ending) {
		usleep(INTERVAL_US);
		if (!ending)
			visit(".", REGULAR);
	}
	visit(".", LAST);
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = "Shutdown";

	if (argc == 3 && !strcmp(argv[1], "watch"))
		return watch(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "shutdown")) {
		open_ports();
		/* Bochs waits for the word letter by letter. */
		out(PORT_SHUTDOWN, word, strlen(word));
		return 0;
	}
	fprintf(stderr, "usage: port watch DIR | port shutdown\n");
	return 2;
}
