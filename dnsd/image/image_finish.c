/* From the records of a zone to its file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "dnsd/image/image_maker.h"

static bool rename_whole(struct image_maker *m, const char *temporary)
{
	if (renameat(m->folder, temporary, m->folder, m->path) != 0)
		return false;
	/* The new name is durable when its folder is. */
	int fd = openat(m->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool write_file(struct image_maker *m)
{
	char temporary[4096];
	if (!str_fmt(temporary, sizeof(temporary), "%s.new", m->path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	int fd =
	    openat(m->folder, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return false;
	bool ok = maker_write(m, fd) && fsync(fd) == 0;
	int saved = errno;
	if (close(fd) != 0 && ok) {
		ok = false;
		saved = errno;
	}
	errno = saved;
	if (ok && !m->stats.errors && rename_whole(m, temporary))
		return true;
	saved = errno;
	unlinkat(m->folder, temporary, 0);
	errno = saved;
	return false;
}

void maker_ready(struct image_maker *m)
{
	maker_sort(m);
	maker_mark(m);
	maker_alias(m);
	maker_sort(m);
	maker_mark(m);
}

bool image_finish(struct image_maker *m, struct image_stats *out, image_report_fn *report,
		  void *arg)
{
	m->report = report;
	m->report_arg = arg;
	maker_ready(m);
	maker_alias_check(m);
	maker_check(m);
	if (m->left_out)
		maker_report(m, false, NULL, "%u records of DNSSEC are left out: it is signed here",
			     m->left_out);
	if (m->o.sign && m->stats.errors == 0) {
		m->o.sign(m->o.sign_arg, m);
		maker_sort(m);
		maker_mark(m);
	}
	bool ok = m->stats.errors == 0 && write_file(m);
	if (!ok && !m->stats.errors)
		maker_report(m, true, NULL, "cannot write %s: %s", m->path, strerror(errno));
	if (out)
		*out = m->stats;
	image_abort(m);
	return ok;
}
