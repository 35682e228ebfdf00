// Package browsertest drives a real browser in tests: a headless Chromium, by its
// DevTools protocol.
package browsertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cvvrotation/sim/must"
)

// Browser is a headless Chromium that a test drives by its DevTools protocol,
// over two pipes: messages are JSON that ends with a zero byte.
type Browser struct {
	in *os.File

	mu     sync.Mutex
	last   int
	calls  map[int]chan message
	events map[string][]message // by session
	ended  bool
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start skips the test where no browser is installed.
func Start(t *testing.T) *Browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" && os.Getenv("CI") != "" {
		t.Fatal("no browser, and CI must not skip: .ci/run installs chromium")
	}
	if program == "" {
		t.Skip("no browser: apt-get install chromium")
	}
	fromTest, in, err := os.Pipe()
	must.Do(t, err)
	out, toTest, err := os.Pipe()
	must.Do(t, err)
	cmd := exec.Command(program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // 3 and 4
	var said bytes.Buffer
	cmd.Stderr = &said
	must.Do(t, cmd.Start())
	fromTest.Close()
	toTest.Close()
	b := &Browser{in: in, calls: make(map[int]chan message), events: make(map[string][]message)}
	go b.read(out)
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		killer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		killer.Stop()
		in.Close()
		out.Close()
		if t.Failed() {
			t.Logf("the browser said:\n%s", said.Bytes())
		}
	})
	return b
}

// read takes the answers to their calls, and keeps the events.
func (b *Browser) read(out *os.File) {
	messages := bufio.NewReader(out)
	for {
		text, err := messages.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if waiting := b.calls[m.ID]; waiting != nil {
			delete(b.calls, m.ID)
			waiting <- m
		} else if m.Method != "" {
			b.events[m.Session] = append(b.events[m.Session], m)
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	for _, waiting := range b.calls {
		close(waiting)
	}
}

func (b *Browser) send(session, method string, params any) (chan message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, fmt.Errorf("%s: the browser has ended", method)
	}
	b.last++
	text, err := json.Marshal(message{ID: b.last, Session: session, Method: method, Params: params})
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.calls[b.last] = answer
	_, err = b.in.Write(append(text, 0))
	return answer, err
}

// call does a command and decodes its result.
func (b *Browser) call(session, method string, params, result any) error {
	answer, err := b.send(session, method, params)
	if err != nil {
		return err
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: the browser has ended", method)
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(60 * time.Second):
		return fmt.Errorf("%s: no answer within a minute", method)
	}
}

// Tab is a page of the browser. Its methods end the test when they fail.
type Tab struct {
	T       *testing.T
	b       *Browser
	session string
	url     string
}

// Object is an object of the protocol.
type Object = map[string]any

// Screen is what a page is shown on.
type Screen struct {
	Width, Height int
	Phone, Dark   bool
	NoScript      bool
}

// Open shows the page in a tab of its own.
func (b *Browser) Open(t *testing.T, html string, s Screen) *Tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	must.Do(t, os.WriteFile(file, []byte(html), 0o644))
	return b.Visit(t, "file://"+file, s)
}

// Visit shows what is at the URL in a tab of its own.
func (b *Browser) Visit(t *testing.T, url string, s Screen) *Tab {
	t.Helper()
	p := &Tab{T: t, b: b, url: url}
	var target struct{ TargetID string }
	must.Do(t, b.call("", "Target.createTarget", Object{"url": "about:blank"}, &target))
	var attached struct{ SessionID string }
	must.Do(t, b.call("", "Target.attachToTarget", Object{"targetId": target.TargetID, "flatten": true}, &attached))
	p.session = attached.SessionID
	t.Cleanup(func() { b.call("", "Target.closeTarget", Object{"targetId": target.TargetID}, nil) })
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.Call(domain+".enable", nil, nil)
	}
	p.Call("Emulation.setDeviceMetricsOverride", Object{"width": s.Width, "height": s.Height, "deviceScaleFactor": 1, "mobile": s.Phone}, nil)
	p.Call("Emulation.setTouchEmulationEnabled", Object{"enabled": s.Phone, "maxTouchPoints": 2}, nil)
	p.Call("Emulation.setScriptExecutionDisabled", Object{"value": s.NoScript}, nil)
	theme := "light"
	if s.Dark {
		theme = "dark"
	}
	p.Call("Emulation.setEmulatedMedia", Object{"features": []Object{{"name": "prefers-color-scheme", "value": theme}}}, nil)
	p.Call("Page.navigate", Object{"url": url}, nil)
	p.Until(`document.readyState === "complete" && location.protocol !== "about:"`)
	return p
}

// Call does a command of the protocol in the page, and decodes its result unless
// that is nil.
func (p *Tab) Call(method string, params Object, result any) {
	p.T.Helper()
	if err := p.b.call(p.session, method, params, result); err != nil {
		p.T.Fatal(err)
	}
}

// Eval evaluates a JavaScript expression in the page.
func Eval[T any](p *Tab, expression string) (value T) {
	p.T.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	err := p.b.call(p.session, "Runtime.evaluate", Object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if err == nil && answer.ExceptionDetails != nil {
		err = fmt.Errorf("%s", answer.ExceptionDetails.Exception.Description)
	}
	if err == nil && answer.Result.Value != nil {
		err = json.Unmarshal(answer.Result.Value, &value)
	}
	if err != nil {
		p.T.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Until waits for the condition to come true.
func (p *Tab) Until(condition string) {
	p.T.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if Eval[bool](p, condition) {
			return
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("never: %s", condition)
		}
	}
}

// Key presses a key, named as in KeyboardEvent.key.
func (p *Tab) Key(name string) {
	p.T.Helper()
	codes := map[string]int{
		"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
	}
	down := Object{"type": "keyDown", "key": name, "windowsVirtualKeyCode": codes[name]}
	switch {
	case name == "Enter":
		down["text"] = "\r"
	case len(name) == 1:
		down["text"] = name
	}
	p.Call("Input.dispatchKeyEvent", down, nil)
	p.Call("Input.dispatchKeyEvent", Object{"type": "keyUp", "key": name, "windowsVirtualKeyCode": codes[name]}, nil)
}

// Mouse dispatches an event of the mouse.
func (p *Tab) Mouse(kind string, x, y float64, more Object) {
	p.T.Helper()
	params := Object{"type": kind, "x": x, "y": y}
	for k, v := range more {
		params[k] = v
	}
	p.Call("Input.dispatchMouseEvent", params, nil)
}

// Left is the left button, held.
var Left = Object{"button": "left", "buttons": 1, "clickCount": 1}

// Click presses and releases the left button.
func (p *Tab) Click(x, y float64) {
	p.T.Helper()
	p.Mouse("mousePressed", x, y, Left)
	p.Mouse("mouseReleased", x, y, Left)
}

// Touch moves the fingers to the points; none lifts them.
func (p *Tab) Touch(kind string, points ...Object) {
	p.T.Helper()
	points = append([]Object{}, points...) // none is [], not null
	p.Call("Input.dispatchTouchEvent", Object{"type": kind, "touchPoints": points}, nil)
}

// Middle returns the middle of an element, after scrolling to it.
func (p *Tab) Middle(selector string) (x, y float64) {
	p.T.Helper()
	at := Eval[[2]float64](p, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({block: "center"});
		const b = e.getBoundingClientRect();
		return [b.x + b.width / 2, b.y + b.height / 2];
	})()`, selector))
	return at[0], at[1]
}

// Complaints are what the page has logged, thrown, or asked the network for.
func (p *Tab) Complaints() (list []string) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	for _, m := range p.b.events[p.session] {
		text, _ := json.Marshal(m.Params)
		switch m.Method {
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
			list = append(list, m.Method+" "+string(text))
		case "Network.requestWillBeSent":
			if !bytes.Contains(text, []byte(`"url":"`+p.url+`"`)) {
				list = append(list, m.Method+" "+string(text))
			}
		}
	}
	return list
}

// Shoot takes a screenshot of the page and writes it to the folder, unless that
// is "".
func (p *Tab) Shoot(folder, name string) {
	p.T.Helper()
	if folder == "" {
		return
	}
	var shot struct{ Data []byte }
	p.Call("Page.captureScreenshot", Object{"captureBeyondViewport": false}, &shot)
	if err := os.WriteFile(filepath.Join(folder, name+".png"), shot.Data, 0o644); err != nil {
		p.T.Fatal(err)
	}
}
