/* limits: counters per client address (IPv6 by /64, local users by uid) in one shared-memory table
 * per service, so that `processes N` does not multiply them. The memory is a memfd that hamletd
 * makes and passes as LISTEN_FDNAMES "limits"; without one the table is the process's own. Fixed
 * size, 8-way buckets under a keyed hash; the least recently used slot gives way. A process that
 * dies gives its connection counts back: each slot counts per process index. */
#ifndef NET_LIMITS_H
#define NET_LIMITS_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LIMITS_PROCS 64
/* Who is at the other end of a Unix socket: listen gives it for the peer's address, and what this
 * file and stream take for an AF_UNIX address is one. uid: SO_PEERCRED's, of the moment in which it
 * connected. */
struct sockaddr_local {
	sa_family_t family; /* AF_UNIX */
	uid_t uid;
};
struct limits;
size_t limits_size(unsigned slots); /* bytes that a memfd for so many addresses needs */
/* Behind the table is room for what else the processes of a service count together: `size` octets,
 * at most LIMITS_AREA, zero at first. fd -1, or a memfd that has no such room: the process's own.
 * It stays as long as the process. NULL: no memory. */
enum { LIMITS_AREA = 2 << 20 };
void *limits_area(int fd, unsigned slots, size_t size);
/* fd -1: private. proc: this process's index (0..LIMITS_PROCS-1); its old counts are zeroed. */
struct limits *limits_open(int fd, unsigned slots, unsigned proc);
void limits_close(struct limits **l);
/* A connection from the address; false when it would exceed max (then nothing is counted). */
bool limits_connect(struct limits *l, const struct sockaddr *sa, uint32_t max);
void limits_disconnect(struct limits *l, const struct sockaddr *sa);
/* Token bucket: takes one of `rate` events per `per_ms`; false when none is left. */
bool limits_rate(struct limits *l, const struct sockaddr *sa, uint32_t rate, uint64_t per_ms);
uint32_t limits_count(struct limits *l, const struct sockaddr *sa);
#endif
