/* grant: the inner side of grant.c (its contract is in stored.h). Loop thread. */
#ifndef STORED_GRANT_H
#define STORED_GRANT_H
#include "stored/stored.h"

#define GRANT_KEY_LEN 32
#define LOCAL_EPOCH   1 /* of the machine's users; 0 when they may send nothing */
/* The key of the MACs, from the directory. */
void grant_key(const unsigned char key[GRANT_KEY_LEN]);
/* The account's epoch; 0: there is no such account. */
uint64_t grant_epoch_now(uint64_t account);
/* The account was deleted: none of its grants is good any more. */
void grant_end(uint64_t account);
void grant_reset(void);
#endif
