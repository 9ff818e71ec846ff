/* leader: of the processes that serve out of one state folder, the one that does what is to be done
 * once: asks primaries, notifies secondaries. It has a lock there; when it ends, another one gets
 * it within a second. Loop thread only. */
#ifndef DNSD_LEADER_H
#define DNSD_LEADER_H
#include <stdbool.h>

enum { LEADER_WATCHERS = 8 };
/* state: fd of the state folder. */
void leader_start(int state);
bool leader(void);
/* Called once when this process has become the leader, in the next turn of the loop if it is so
 * already. A leader remains one. */
void leader_watch(void (*fn)(void));
/* Gives the leadership back: for the end of a process that still has clients. */
void leader_stop(void);
#endif
