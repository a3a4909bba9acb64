package nodes

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"weir"
	"weir/client"
	"weir/internal/pg/pgtest"
)

func TestNothingIsLostOrFoldedTwiceWhenTheDispatchingNodeIsKilled(t *testing.T) {
	t.Parallel()
	database, to := pgtest.New(t), newReceiver(t, 10*time.Millisecond)
	door := newNode(t, database, "door", "api")
	one, two := newNode(t, database, "one", allDuties), newNode(t, database, "two", allDuties)
	for _, n := range []*node{door, one, two} {
		n.start(t)
	}
	killed, left := dispatching(t, door, one, two)
	killed.apply(t, project(to))
	l := newLoad(to, "k", 8000, 12_000)
	began, published := time.Now(), make(chan struct{})
	go func() {
		defer close(published)
		l.publish(t.Context(), t, door)
	}()

	<-to.reached(len(l.call) / 2)
	share(t, door)
	killed.process.kill()
	died := time.Since(began)
	<-published
	sent := time.Since(began)
	dispatching(t, door, left...)
	door.settle(t)

	t.Logf("seen: node %s killed after %v, all sent after %v, all runs ended after %v", killed.name,
		died.Round(time.Millisecond), sent.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	share(t, door)
	l.check(t, door)

	left[0].stop(t)
	alone := newLoad(to, "a", 100, 100)
	alone.publish(t.Context(), t, door)
	asking := client.Client{URL: door.URL, Token: door.Token, HTTP: &http.Client{Transport: once{door.HTTP.Transport}}}
	asking.See(door.Seen())
	if _, err := asking.Runs(t.Context(), client.RunFilter{}, client.Paging{Limit: 1}); weir.CodeOf(err) != weir.Behind {
		t.Errorf("a node alone that does not dispatch shows what was accepted just now: %v", err)
	}
	left[0].start(t)
	until(t, "runs of what was accepted alone", func() (bool, error) {
		effects, _ := to.effects()
		return len(effects) == len(l.call)+len(alone.call), nil
	})
	door.settle(t)
	alone.check(t, door)
}

func TestNothingHappensTwiceWhenTheDispatchingNodeStandsStillForLongerThanItsLease(t *testing.T) {
	t.Parallel()
	database, to := pgtest.New(t), newReceiver(t, 30*time.Millisecond)
	one, two := newNode(t, database, "one", allDuties), newNode(t, database, "two", allDuties)
	one.start(t)
	two.start(t)
	still, others := dispatching(t, two, one, two)
	door := others[0]
	door.apply(t, project(to))
	l := newLoad(to, "s", 3000, 3000)
	published := make(chan struct{})
	go func() {
		defer close(published)
		l.publish(t.Context(), t, door)
	}()

	<-to.reached(len(l.call) / 2)
	still.process.signal(t, syscall.SIGSTOP)
	began := time.Now()
	<-published
	dispatching(t, door, others...)
	t.Logf("seen: the shard moved %v after the node had stopped", time.Since(began).Round(10*time.Millisecond))
	door.settle(t)
	still.process.signal(t, syscall.SIGCONT)
	until(t, "the node to take part again", func() (bool, error) {
		n, err := door.Node(t.Context(), still.name)
		return n.State == "alive", err
	})
	more := newLoad(to, "m", 200, 200)
	more.publish(t.Context(), t, still)
	still.settle(t)

	share(t, door)
	l.check(t, door)
	more.check(t, still)
}

func TestDrainedNodeGivesTheShardAwayAndTakesItBackWhenItMay(t *testing.T) {
	t.Parallel()
	database, to := pgtest.New(t), newReceiver(t, 10*time.Millisecond)
	one, two := newNode(t, database, "one", allDuties), newNode(t, database, "two", allDuties)
	one.start(t)
	two.start(t)
	drained, others := dispatching(t, one, one, two)
	drained.apply(t, project(to))
	began := time.Now()

	if err := others[0].DrainNode(t.Context(), drained.name); err != nil {
		t.Fatal(err)
	}
	dispatching(t, others[0], others...)

	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("the shard moved after %v", took)
	}
	until(t, "the drained node to say so", func() (bool, error) {
		err := drained.Ready(t.Context())
		return weir.CodeOf(err) == weir.Unavailable, err
	})
	l := newLoad(to, "d", 300, 300)
	l.publish(t.Context(), t, drained) // it lives on
	others[0].settle(t)
	l.check(t, others[0])
	n, err := others[0].Node(t.Context(), drained.name)
	if err != nil || n.State != "draining" || len(n.Holds) > 0 {
		t.Errorf("shown as %+v, %v", n, err)
	}

	if err := others[0].UndrainNode(t.Context(), drained.name); err != nil {
		t.Fatal(err)
	}
	until(t, "the node to be ready again", func() (bool, error) {
		err := drained.Ready(t.Context())
		return err == nil, err
	})
	others[0].stop(t)
	dispatching(t, drained, drained)
}

func TestSecondProcessOfANodesNameDoesNotStart(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	one, again := newNode(t, database, "one", allDuties), newNode(t, database, "one", allDuties)
	one.start(t)

	p := again.launch(t)

	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	if p.err == nil || !contains(p.said(), `another process is node \"one\"`, `another process is node "one"`) {
		t.Errorf("ended with %v, saying\n%s", p.err, p.said())
	}
	if len(one.listed(t)) != 1 {
		t.Errorf("listed are %d nodes", len(one.listed(t)))
	}
}
