/* From the records of a zone to its file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "dnsd/image/image_maker.h"

static bool rename_whole(struct image_maker *m, const char *temporary, const char *name)
{
	char overlay[4096];
	if (renameat(m->folder, temporary, m->folder, name) != 0)
		return false;
	/* That of the image before is none of this one. */
	if (!m->patch && image_overlay_name(overlay, sizeof(overlay), m->path, ""))
		unlinkat(m->folder, overlay, 0);
	/* The new name is durable when its folder is. */
	int fd = openat(m->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool write_file(struct image_maker *m)
{
	char temporary[4096], name[4096];
	bool named = m->patch ? image_overlay_name(temporary, sizeof(temporary), m->path, ".new") &&
				    image_overlay_name(name, sizeof(name), m->path, "")
			      : str_fmt(temporary, sizeof(temporary), "%s.new", m->path) &&
				    str_fmt(name, sizeof(name), "%s", m->path);
	if (!named) {
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
	if (ok && !m->stats.errors && rename_whole(m, temporary, name))
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
	if (!m->patch)
		maker_ready(m);
	maker_alias_check(m);
	maker_check(m);
	if (m->left_out)
		maker_report(m, false, NULL, "%u records of DNSSEC are left out: it is signed here",
			     m->left_out);
	if (m->o.sign && m->stats.errors == 0) {
		m->o.sign(m->o.sign_arg, m);
		if (m->patch) {
			patch_settle(m);
			m->patch->failed |= patch_proofs_differ(m);
		}
		maker_sort(m);
		maker_mark(m);
	}
	if (m->patch && m->patch->failed) {
		if (out)
			*out = m->stats;
		image_abort(m);
		return false;
	}
	if (m->patch)
		patch_numbers(m);
	bool ok = m->stats.errors == 0 && write_file(m);
	if (ok && m->patch)
		patch_told(m);
	m->stats.unwritten = !ok && !m->stats.errors;
	if (m->stats.unwritten)
		maker_report(m, true, NULL, "cannot write %s: %s", m->path, strerror(errno));
	if (out)
		*out = m->stats;
	image_abort(m);
	return ok;
}
