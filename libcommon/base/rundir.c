/* Where the suite's sockets are. */
#include "libcommon/base/rundir.h"
#include <stdlib.h>
#include "libcommon/base/conf.h"

struct where {
	const char *run_dir;
};

/* The one directive of hamlet.conf that matters here: mistakes and all others are hamletd's. */
static const char *configured(struct pool *pool, const char *file)
{
	static const struct conf_directive TABLE[] = {
	    {.name = "run-dir", .type = CONF_PATH, .offset = offsetof(struct where, run_dir)}, {0}};
	struct where w = {0};
	char *unread = NULL;
	size_t len;
	FILE *f = open_memstream(&unread, &len);
	if (!f)
		return NULL;
	conf_load(pool, file, TABLE, &w, NULL, f);
	fclose(f);
	free(unread);
	return w.run_dir;
}

const char *rundir_find(struct pool *pool, const char *conf_dir)
{
	const char *dir = getenv("HAMLET_RUNDIR");
	if (!dir || !*dir)
		dir = configured(pool, pool_printf(pool, "%s/hamlet.conf", conf_dir));
	return dir ? dir : "/run/hamlet";
}
