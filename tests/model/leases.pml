/* One key, its leases, fills, writes and invalidations, in two nodes with L1 over a shared L2 and a backplane.
 * What is modelled, what is checked and within which bounds: README.md. The names of broken variants
 * (-DNO_FENCE, ...) are those of the defence that is left out.
 *
 * Values are the numbers of the source's versions: 1, 2, ... An entry of 0 is none. */

#ifndef LOADS
#define LOADS 1     /* of each loader; node 0 has two loaders, node 1 has one */
#endif
#ifndef WRITES
#define WRITES 1    /* of node 1, each an update with `invalidate` or a write-through */
#endif
#ifndef WRITES_OF_0
#define WRITES_OF_0 WRITES
#endif
#ifndef CUTS
#define CUTS 0      /* of node 0's link; node 1's is never cut */
#endif
#ifndef EXPIRIES
#define EXPIRIES 0  /* leases that end while their holder is at work */
#endif
#ifndef LOSSES
#define LOSSES 0    /* times that L2 forgets everything */
#endif

#define NODES 2
#define HOLDERS 6   /* who may hold the lease, each at most one: loaders 1 to 3, writers 4 and 5; 0: nobody */

#define works  0
#define is_cut 1    /* messages are lost, and it does not show yet */
#define is_old 2    /* the last answer to a ping is older than interval + timeout */

byte source = 1;                          /* the version it holds */
byte l2_value, l2_holder;                 /* whose token stands: that of the latest lease of this holder */
byte l1_value[NODES], l1_epoch[NODES];    /* what L1 holds, and of which epoch */
byte epoch[NODES];
byte flight[NODES];                       /* the loader whose flight callers may join; 0: none */
bool is_guarded[NODES];                   /* a write-through is under way, and no message came since it began */
byte link[NODES];
chan inbox[NODES] = [2] of { byte };      /* invalidations, each with the version it speaks of */

/* What must hold. */
byte needed[NODES];       /* the least value that a call beginning now may be answered as fresh: G1, and
                             what messages told */
byte lost[NODES];         /* the latest version of which a message was lost */
byte needed_by_gap[NODES];  /* ... and the bound after the cut has passed, or the link was healed: G3 */
byte needed_in_l2;        /* invalidations that have returned: G2 */
bool is_voided[HOLDERS];  /* the holder's latest token has been voided */

#define max(a, b) ((a) > (b) -> (a) : (b))

#ifdef NO_LINK
#define looks_fresh(n) (l1_value[n] != 0 && l1_epoch[n] == epoch[n])
#else
#define looks_fresh(n) (l1_value[n] != 0 && l1_epoch[n] == epoch[n] && link[n] != is_old)
#endif

/* A hit may happen at any time: so this is checked after each step that changes what it would answer. */
inline check_hits(n) {
    assert(!looks_fresh(n) || (l1_value[n] >= needed[n] && l1_value[n] >= needed_by_gap[n]))
}

inline check_l2() {
    assert(l2_value == 0 || l2_value >= needed_in_l2)
}

/* L2: single commands, or scripts that run as one. */
inline void_token() {
    is_voided[l2_holder] = true;
    l2_holder = 0;
    is_voided[0] = false
}

inline delete_in_l2() {
    l2_value = 0;
    void_token()
}

inline grant(to) {
    l2_holder = to;
    is_voided[to] = false
}

inline fill_l2(by, value, accepted) {
#ifdef NO_FENCE
    accepted = true;
#else
    accepted = (l2_holder == by);
#endif
    if
    :: accepted ->
        assert(!is_voided[by]);  /* G2: no fill with a voided token */
        l2_value = value;
        l2_holder = 0;
        check_l2()
    :: else
    fi
}

/* L1: what an invalidation does. Callers may no longer join the flight, and its fill is refused. */
inline drop_in_l1(n) {
    l1_value[n] = 0;
#ifndef NO_DETACH
    flight[n] = 0
#endif
}

inline publish(to, version) {
    if
    :: link[to] == works -> inbox[to]!version
    :: else -> lost[to] = max(lost[to], version)
    fi
}

inline has_returned(n, version) {
    needed[n] = max(needed[n], version);
    needed_in_l2 = max(needed_in_l2, version);
    check_hits(n);
    check_l2()
}

/* A miss. Node 0 has two: the second one begins when the first one's flight was detached. */
proctype loader(byte n; byte self) {
    byte begun, value, of_epoch;
    bool accepted;
end:
    do
    :: atomic {
           begun < LOADS && flight[n] == 0 && !looks_fresh(n) ->
           begun++;
           flight[n] = self;
           of_epoch = epoch[n];
           if  /* get_or_lease */
           :: l2_value != 0 -> value = l2_value; accepted = true
           :: l2_value == 0 && l2_holder == 0 -> grant(self)
           :: l2_value == 0 && l2_holder != 0 -> flight[n] = 0; of_epoch = 0; goto end  /* busy: gives up */
           fi
       };
       if
       :: atomic { !accepted -> value = source };
          atomic { fill_l2(self, value, accepted) }
       :: else
       fi;
       atomic {
           /* Whoever joined while it was attached is answered this. */
           assert(flight[n] != self || value >= needed[n]);
           if
           :: accepted && flight[n] == self ->
               l1_value[n] = value;
               l1_epoch[n] = of_epoch;
               check_hits(n)
           :: else
           fi;
           if
           :: flight[n] == self -> flight[n] = 0
           :: else
           fi;
           value = 0;
           of_epoch = 0;
           accepted = false;
           is_voided[self] = false
       }
    od
}

proctype writer(byte n; byte self; byte writes) {
    byte begun, version, of_epoch;
    bool accepted;
end:
    do
    :: atomic {  /* the source is updated, then `invalidate` is called */
           begun < writes ->
           begun++;
           source++;
           version = source
       };
#ifdef L1_FIRST
       atomic { drop_in_l1(n) };
       atomic { delete_in_l2() };
#else
       atomic { delete_in_l2() };
       atomic { drop_in_l1(n) };
#endif
       atomic { publish(1 - n, version); has_returned(n, version); version = 0 }
    :: atomic {  /* write-through */
           begun < writes ->
           begun++;
#ifndef PLAIN_WRITE
           void_token();  /* begin_write */
           grant(self);
           l2_value = 0
#endif
       };
       atomic { drop_in_l1(n); is_guarded[n] = true; of_epoch = epoch[n] };
       atomic { source++; version = source };
#ifdef PLAIN_WRITE
       atomic { void_token(); l2_value = version; accepted = true; check_l2() };
#else
       atomic { fill_l2(self, version, accepted); is_voided[self] = false };
       if
       :: atomic { !accepted -> delete_in_l2() }
       :: else
       fi;
#endif
       atomic {
           drop_in_l1(n);
           if
#ifdef NO_GUARD
           :: accepted ->
#else
           :: accepted && is_guarded[n] ->
#endif
               l1_value[n] = version;
               l1_epoch[n] = of_epoch;
               check_hits(n)
           :: else
           fi;
           is_guarded[n] = false;
           of_epoch = 0;
           accepted = false
       };
       atomic { publish(1 - n, version); has_returned(n, version); version = 0 }
    od
}

proctype receiver(byte n) {
    byte version;
end:
    do
    :: atomic {
           inbox[n]?version ->
           drop_in_l1(n);
           is_guarded[n] = false;
           needed[n] = max(needed[n], version);
           check_hits(n);
           version = 0
       }
    od
}

proctype network(byte n) {
    byte version, cuts;
end:
    do
    :: atomic {
           link[n] == works && cuts < CUTS ->
           cuts++;
           link[n] = is_cut;
           do
           :: inbox[n]?version -> lost[n] = max(lost[n], version)
           :: empty(inbox[n]) -> break
           od;
           version = 0
       }
    :: atomic {
           link[n] == is_cut ->
           link[n] = is_old;
           needed_by_gap[n] = lost[n];
           check_hits(n)
       }
    :: atomic {
           link[n] != works ->  /* healed: the gap is reported, and the link is fresh again */
#ifndef NO_EPOCH
           epoch[n]++;
#endif
           link[n] = works;
           needed_by_gap[n] = lost[n];
           check_hits(n)
       }
    od
}

/* L2 ends leases of their own accord, and forgets. */
proctype time_and_trouble() {
    byte expiries, losses;
end:
    do
    :: atomic { expiries < EXPIRIES && l2_holder != 0 -> expiries++; void_token() }
    :: atomic { losses < LOSSES && (l2_value != 0 || l2_holder != 0) -> losses++; delete_in_l2() }
    od
}

init {
    atomic {
        /* Everything is empty, or version 1 has been loaded before. */
        if
        :: true
        :: l2_value = 1
        :: l2_value = 1; l1_value[0] = 1
        :: l2_value = 1; l1_value[0] = 1; l1_value[1] = 1
        fi;
        run loader(0, 1);
        run loader(0, 2);
        run loader(1, 3);
        run writer(0, 4, WRITES_OF_0);
        run writer(1, 5, WRITES);
        run receiver(0);
        run receiver(1);
        run network(0);
        run time_and_trouble()
    }
}
