/* SPDX-License-Identifier: Apache-2.0 */
/* Another initiator of the cluster, with a nexus of its own and every right that SPC-4 gives it. */

#define MAY (!mistaken && phase == 0 && x_steps > 0)

proctype Adversary() {
	byte wire;
	bit reset_seen;

end_adversary:
	do
	:: atomic { MAY && key[X] == 0 -> SPEND(x_steps); lun_register(X, 0, KX); wire = 0 }
	:: atomic { MAY && key[X] == 0 -> SPEND(x_steps); late_key = lines > 0; lun_register(X, 0, K); wire = 0 }
	:: atomic { MAY && key[X] == KX -> SPEND(x_steps); late_key = lines > 0; lun_register(X, KX, K); wire = 0 }
	:: atomic { MAY && key[X] != 0 -> SPEND(x_steps); lun_register(X, key[X], 0); wire = 0 }
	:: atomic { MAY && key[X] != 0 && res == FREE -> SPEND(x_steps); res = X + 1 }
	:: atomic { MAY && key[X] != 0 && res == FREE -> SPEND(x_steps); res = ALL_REGISTRANTS }
	:: atomic { MAY && (res == X + 1 || (res == ALL_REGISTRANTS && key[X] != 0)) ->
		SPEND(x_steps); res = FREE }
	:: atomic { MAY && key[X] != 0 && COUNT(K) > 0 ->
		SPEND(x_steps); lun_preempt(X, key[X], K, X + 1); wire = 0 }
	:: atomic { MAY && key[X] != 0 && COUNT(K) > 0 && HOLDER_KEY(K) ->
		SPEND(x_steps); lun_preempt(X, key[X], K, ALL_REGISTRANTS); wire = 0 }
#if GUEST
	:: atomic { MAY && key[X] != 0 && COUNT(K2) > 0 ->
		SPEND(x_steps); lun_preempt(X, key[X], K2, X + 1); wire = 0 }
#endif
	:: atomic { MAY && key[X] != 0 && res == ALL_REGISTRANTS ->
		SPEND(x_steps); lun_preempt_all(X, X + 1) }
	:: atomic { MAY && key[X] != 0 && res == ALL_REGISTRANTS ->
		SPEND(x_steps); lun_preempt_all(X, ALL_REGISTRANTS) }
	:: atomic { MAY && key[X] != 0 -> SPEND(x_steps); lun_clear() }
#if RESETS
	:: atomic { MAY && resets > 0 && MAY_RESET -> SPEND(x_steps); SPEND(resets); lun_reset() }
#endif
	od
}
