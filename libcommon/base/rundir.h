/* rundir: the folder of the suite's sockets, for programs that hamletd does not start. */
#ifndef BASE_RUNDIR_H
#define BASE_RUNDIR_H
#include "libcommon/base/pool.h"

/* HAMLET_RUNDIR, else the run-dir of conf_dir/hamlet.conf, else /run/hamlet. In the pool, or for
 * ever. */
const char *rundir_find(struct pool *pool, const char *conf_dir);

#endif
