/* job: work that blocks, on libuv's pool, bounded. */
#ifndef NET_JOB_H
#define NET_JOB_H
#include <stdbool.h>
struct job;
/* run() on a pool thread, then done() on the loop's thread (cancelled: run did not happen).
 * False when `JOB_MAX` jobs wait already: answer the protocol's "busy". */
#define JOB_MAX 1024
bool job_start(void (*run)(void *arg), void (*done)(void *arg, bool cancelled), void *arg);
#endif
